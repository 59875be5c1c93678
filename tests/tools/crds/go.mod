// Not code: the definitions of other projects' kinds, against which the manifests for them are checked.
module tools/crds

go 1.26.0

require (
	github.com/fluxcd/kustomize-controller v1.9.6
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
