package imagecls

import (
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/tasks/imagecls"
)

// builtIn is the checkpoint that is compiled in: none.
var builtIn = cli.BuiltIn{}

// embeddedData names the images that are compiled in, "" for none, and embedded puts them into a configuration.
const embeddedData = ""

var embedded func(c *imagecls.Finetuning) error
