package nn_test

import (
	"testing"

	"github.com/spalora/spalora/nn"
)

// TestRenames: names are respelled part by part, in both directions, and other names stay as they are.
func TestRenames(t *testing.T) {
	l := nn.Renames{
		{Module: "layers", Stored: "encoder.layer"}, {Module: "attention.out", Stored: "attention.output.dense"},
		{Module: "mlp.down", Stored: "output.dense"},
	}
	for module, stored := range map[string]string{
		"vit.layers.0.attention.out.weight": "vit.encoder.layer.0.attention.output.dense.weight",
		"layers.11.mlp.down":                "encoder.layer.11.output.dense",
		"x.layers.0.norm.bias":              "x.encoder.layer.0.norm.bias",
		"sublayers.0.norm":                  "sublayers.0.norm",
		"classifier.weight":                 "classifier.weight",
		"layers":                            "encoder.layer",
	} {
		if got := l.Stored(module); got != stored {
			t.Errorf("%s is stored as %s, want %s", module, got, stored)
		}
		if got := l.Module(stored); got != module {
			t.Errorf("%s is the module %s, want %s", stored, got, module)
		}
		if got := l.Module(module); got != module {
			t.Errorf("the module's name %s becomes %s", module, got)
		}
	}
	var none nn.Renames
	if none.Stored("a.b") != "a.b" || none.Module("a.b") != "a.b" {
		t.Error("no renames change a name")
	}
}
