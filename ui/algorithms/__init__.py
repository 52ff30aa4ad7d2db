"""The Processing algorithms: they turn parameters into jobs and run them in a worker."""
