package imagecls

import (
	"fmt"
	"strings"

	"github.com/spalora/spalora/data/picture"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks/imagecls"
	"github.com/spalora/spalora/train"
)

// mnist puts the embedded digits into a configuration.
func mnist(c *imagecls.Finetuning) (err error) {
	train, test := embedded.MNIST()
	if c.Train, err = picture.ReadIDX(train.Images, train.Labels, embedded.MNISTName, c.Data); err != nil {
		return err
	}
	c.Test, err = picture.ReadIDX(test.Images, test.Labels, embedded.MNISTName+" test", c.Data)
	return err
}

// digits are the classes of the embedded data: the model's own are characters.
func digits() []string { return strings.Split("0123456789", "") }

// defaults changes defaults, where no flag says otherwise, for the embedded model and data: a small model that has seen
// no digits needs a larger adapter and more epochs than a large one.
func defaults(env cli.Env, c *imagecls.Finetuning, embedded bool) {
	if !embedded {
		return
	}
	c.OnBefore = func(rows int, m train.Metrics) {
		fmt.Fprintf(env.Out, "before training: test, %d rows: %s\n", rows, cli.MetricsText(m))
	}
	if c.Labels == nil && c.Adapter == "" {
		c.Labels = digits()
	}
	task.Epochs(&c.Run, 20)
	task.WarmUp(&c.Run)
	if c.Augment == nil {
		c.Augment = []string{"crop=0.7"}
	}
	if c.Full {
		return
	}
	if c.LearningRate == nil {
		c.LearningRate = new(3e-3)
	}
	if c.Adapter == "" {
		if len(c.TargetModules) == 0 {
			c.TargetModules = []string{lora.AllLinear}
		}
		if c.LoraR == 0 && c.LoraAlpha == nil {
			c.LoraR, c.LoraAlpha = 16, new(32.0)
		}
	}
}
