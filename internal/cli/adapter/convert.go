package adapter

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/llamacpp"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn/op"
)

// convertRun is one run of "adapter convert".
type convertRun struct {
	list      []task.Descriptor
	model     string
	adapter   base.Adapter
	from, to  string
	log       cli.LogFlags
	output    string
	kind      string
	overwrite bool

	env     cli.Env
	console *cli.Console
}

const convertExamples = `  # for llama.cpp: llama-cli -m base.gguf --lora mine.gguf
  adapter convert --adapter runs/mine --model DIR --to gguf --output mine.gguf

  # adapters of llama.cpp and of mlx-lm as directories of PEFT
  adapter convert --from gguf --adapter mine.gguf --model DIR --output runs/mine
  adapter convert --from mlx --adapter adapters --model DIR --output runs/mine`

func convert(env cli.Env, list []task.Descriptor) *cobra.Command {
	r := &convertRun{env: env, list: list}
	cmd := &cobra.Command{
		Use:   "convert",
		Short: "Convert an adapter of a language model to llama.cpp's format, or from llama.cpp's or mlx-lm's",
		Long: `Convert a LoRA adapter of a language model (gpt2, llama, mistral, qwen2 or qwen3) between formats: PEFT's
directory, which finetune writes, llama.cpp's GGUF file, and mlx-lm's directory, which is only read. Shapes are compared
with the base model. Only low-rank pairs can be converted: an adapter with DoRA, biases or modules_to_save is merged and
exported instead (adapter export).

` + task.ExitCodes + ".",
		Example: convertExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Adapter", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.adapter.Dir, "adapter", "", "`path` of the adapter: a directory, or a GGUF file with --from gguf")
		fs.StringVar(&r.from, "from", "peft", "peft, gguf or mlx: format of --adapter")
		fs.StringVar(&r.to, "to", "", "gguf or peft: format to write; default: peft, or gguf from peft")
		fs.StringVar(&r.model, "model", "", "`directory` of the base model, a Hugging Face checkpoint, or GGUF file")
		fs.BoolVar(&r.adapter.OtherBase, "allow-other-base", false, "use an adapter that was trained on another base model")
	})
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.output, "output", "", "`path` of the GGUF file or of the adapter directory to write")
		fs.StringVar(&r.kind, "type", "f32", "f32, f16 or bf16: how a GGUF file stores the values")
		fs.BoolVar(&r.overwrite, "overwrite", false, "replace --output if it exists")
	})
	cli.Section(fs, "Messages", r.log.Add)
	cli.Leaf(cmd)
	return cmd
}

func (r *convertRun) run(cmd *cobra.Command) (err error) {
	if r.console, err = cli.NewConsole(r.env, r.log, cmd.Flags()); err != nil {
		return err
	}
	if err := r.checkFlags(); err != nil {
		return cli.UsageError(err)
	}
	if r.to == "gguf" {
		return withModel(r.model, 0, r.write)
	}
	return withModel(r.model, 0, r.read)
}

// withModel calls use with an opened model and a pool for the number of threads, and closes both.
func withModel(model string, threads int, use func(b *base.Base, pool *op.Pool) error) (err error) {
	b, err := base.Open(model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	pool := op.NewPool(threads)
	defer pool.Close()
	return use(b, pool)
}

// write writes PEFT's adapter as a GGUF file.
func (r *convertRun) write(b *base.Base, pool *op.Pool) error {
	t, err := llamacpp.Open(base.Opening{Base: b, Adapter: r.adapter, Log: r.console.Log, Pool: pool})
	if err != nil {
		return err
	}
	if err := llamacpp.WriteAdapter(t, r.output, r.kind, pool); err != nil {
		return err
	}
	fmt.Fprintf(r.env.Out, "converted %d layers (%s)\nfile: %s\n", len(t.Set.Params())/2, r.kind, r.output)
	return nil
}

// read writes an adapter of another format as a directory of PEFT.
func (r *convertRun) read(b *base.Base, pool *op.Pool) error {
	t, err := llamacpp.Open(base.Opening{Base: b, Log: r.console.Log, Pool: pool})
	if err != nil {
		return err
	}
	var d *lora.Detached
	if r.from == "mlx" {
		d, err = lora.ReadMLX(r.adapter.Dir)
		err = base.Input(err)
	} else {
		d, err = llamacpp.ReadAdapter(r.adapter.Dir, b)
	}
	if err != nil {
		return err
	}
	d.Config.BaseModel = b.Name
	if err := llamacpp.Targets(d, t.Net); err != nil {
		return err
	}
	err = files.WriteDir(r.output, r.overwrite, func(dir *files.Dir) error { return d.Write(dir.WriteFile) })
	if err != nil {
		return err
	}
	fmt.Fprintf(r.env.Out, "converted %d layers, r=%d, lora_alpha=%g\nadapter: %s\n", len(d.Layers), d.Config.R,
		d.Config.Alpha, r.output)
	return nil
}

// checkFlags checks everything that can be checked before a file is opened.
func (r *convertRun) checkFlags() error {
	if r.to == "" {
		r.to = "peft"
		if r.from == "peft" {
			r.to = "gguf"
		}
	}
	var errs []error
	switch r.from + " " + r.to {
	case "peft gguf", "gguf peft", "mlx peft":
	case "mlx gguf":
		errs = append(errs, errors.New("--from mlx --to gguf takes two steps; convert to peft first"))
	default:
		errs = append(errs, fmt.Errorf("--from %s --to %s is not a conversion; want from peft to gguf, or from gguf or mlx "+
			"to peft", r.from, r.to))
	}
	for _, f := range [][2]string{{"adapter", r.adapter.Dir}, {"model", r.model}, {"output", r.output}} {
		if f[1] == "" {
			errs = append(errs, fmt.Errorf("--%s is missing; give a path", f[0]))
		}
	}
	if !slices.Contains([]string{"f32", "f16", "bf16"}, r.kind) {
		errs = append(errs, fmt.Errorf("--type is %q; want f32, f16 or bf16", r.kind))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if r.to == "gguf" {
		return checkFile("output", r.output, r.overwrite, r.model)
	}
	if err := files.CheckOutput(r.output, r.overwrite); err != nil {
		return err
	}
	if within(r.output, r.model) || within(r.output, r.adapter.Dir) {
		return fmt.Errorf("--output %s holds --model or --adapter and would replace it; give another", r.output)
	}
	return replaceableAdapter(task.Kinds(r.list))(r.output)
}
