"""The whole platform on a local Kubernetes cluster: images, the cluster itself, the release."""
