"""Plain words to PromQL without a model: what is asked, which metric that is, and how its type is queried."""
