"""One seam per outside system: Kubernetes, Helm, Terraform, AWS."""
