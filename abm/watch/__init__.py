"""A dashboard in the browser: models that run, can be looked at, and changed by hand meanwhile."""
