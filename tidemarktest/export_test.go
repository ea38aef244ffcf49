package tidemarktest

import "context"

// CheckPipelineVirtually is RunPipeline for a caller in a bubble who wants the error.
func CheckPipelineVirtually[K, V, K2, V2 any](ctx context.Context, store Store, p Pipeline[K, V, K2, V2], opts Options) error {
	_, err := checkPipeline(ctx, store, p, opts, true)
	return err
}

// CheckVirtually is Run for a caller in a bubble who wants the error.
func CheckVirtually(ctx context.Context, store Store, opts Options) (Report, error) {
	return check(ctx, store, opts, true)
}
