"""Language models that judge reports: how they are asked, over HTTP, and how their answers are read."""
