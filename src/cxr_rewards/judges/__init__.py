"""Language models as judges of reports: asking them over HTTP and reading their answers."""
