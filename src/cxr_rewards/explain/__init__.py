"""Why a report got its reward: the explanation as data, and the page that shows it."""
