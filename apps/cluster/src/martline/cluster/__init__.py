"""Runs the whole platform on a local Kubernetes cluster: the images, the cluster itself, and the release."""
