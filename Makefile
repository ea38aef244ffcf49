# The five commands of a working day.

.PHONY: test race lint proof ci

test: ## all tests, as the README runs them
	go test ./...

race: ## all tests with the race detector
	go test -race ./...

lint: ## format, vet, and the linter that tools/go.mod pins
	@test -z "$$(gofmt -l .)" || { echo 'run gofmt -w on:'; gofmt -l .; exit 1; }
	go vet ./...
	GOWORK=off go tool -modfile=tools/go.mod golangci-lint run ./...

proof: ## crashes, faults and histories of tier A, and the bug museum
	.ci/proof A

ci: ## everything that a change must pass
	bash .ci/run
