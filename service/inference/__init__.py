"""From pixels to probabilities: batching, model runners, versions, repository. Knows neither HTTP nor an engine."""
