package main

import (
	"slices"

	"github.com/tidemark-go/tidemark/internal/proof"
)

// ours: a bug that this code had once.
const ours = "Tidemark"

// exhibits are all bugs, by subject.
var exhibits = slices.Concat(
	logExhibits, engineExhibits, readExhibits, keysExhibits, historyExhibits, pipelineExhibits,
	edgesMaintainExhibits,
	edgesSourceExhibits,
	engineEdgeExhibits,
	fileEdgeExhibits,
	platformExhibits,
	sinkEdgeExhibits,
	valuesExhibits,
)

const (
	a = proof.A
	b = proof.B
)
