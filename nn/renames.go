package nn

import (
	"strings"

	spago "github.com/nlpodyssey/spago/nn"
)

// Rename is a part of the names of weights, one or more whole names joined by dots, that checkpoints spell otherwise
// than the modules of the model are called.
type Rename struct {
	Module string // "attention.q_proj"
	Stored string // "attention.attention.query"
}

// Renames are the renames of a model. They apply in order, each to the first place in a name.
type Renames []Rename

// Renamed is a model or a part of one whose weights have other names in checkpoints. Checkpoints with the names of the
// modules are read too, and so are adapters with either; checkpoints are written with the stored names, as transformers
// does it, adapters with those of the modules, as PEFT does it.
type Renamed interface{ Renames() Renames }

// RenamesOf returns the renames of m or of the first module in it that has some, nil if there are none.
func RenamesOf(m spago.Model) (list Renames) {
	Walk(m, func(_ string, module any) {
		if r, ok := module.(Renamed); ok && list == nil {
			list = r.Renames()
		}
	})
	return list
}

// Stored returns the name in a checkpoint of a weight or a module that has the given name in the model.
func (l Renames) Stored(name string) string {
	for _, r := range l {
		name = respell(name, r.Module, r.Stored)
	}
	return name
}

// Module returns the name in the model of a weight or a module that has the given name in a checkpoint. Other names
// stay as they are.
func (l Renames) Module(name string) string {
	for _, r := range l {
		name = respell(name, r.Stored, r.Module)
	}
	return name
}

// respell replaces the first place where name has from as whole parts.
func respell(name, from, to string) string {
	dotted := strings.Replace("."+name+".", "."+from+".", "."+to+".", 1)
	return dotted[1 : len(dotted)-1]
}
