package adapter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/llamacpp"
	"github.com/spalora/spalora/nn/op"
)

// exportRun is one run of "adapter export".
type exportRun struct {
	model     string
	adapter   base.Adapter
	log       cli.LogFlags
	output    string
	kind      string
	modelfile string
	overwrite bool
	threads   int

	env     cli.Env
	console *cli.Console
}

const exportExamples = `  adapter export --model DIR --adapter runs/mine --output mine.gguf

  # a quarter of the size, with a description for Ollama: ollama create mine -f Modelfile
  adapter export --model DIR --adapter runs/mine --output mine.gguf --type q4_k_m --modelfile Modelfile`

func export(env cli.Env) *cobra.Command {
	r := &exportRun{env: env}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write a language model, with an adapter merged into it, as a GGUF file for llama.cpp and Ollama",
		Long: `Write a language model (gpt2, llama, mistral, qwen2 or qwen3) as a GGUF file with its tokenizer, special
tokens and chat template. --adapter is merged into the weights first; without it the model alone is written.

Before the file appears, it is read back: the tokenizer must give the same ids, and the command prints the largest
difference of the logits on a few token sequences. The types are those of llama.cpp, bit for bit: f32, f16, bf16, q8_0,
q4_1 and q4_k_m. Quantised files keep some weights in other types, as llama.cpp does.

` + task.ExitCodes + ".",
		Example: exportExamples,
		RunE:    func(cmd *cobra.Command, _ []string) error { return r.run(cmd) },
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	cli.Section(fs, "Model", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.model, "model", "", "`directory` of a Hugging Face checkpoint, or GGUF file")
		fs.StringVar(&r.adapter.Dir, "adapter", "",
			"`directory` of an adapter to merge, of finetune or of PEFT; default: none")
		fs.BoolVar(&r.adapter.OtherBase, "allow-other-base", false, "use an adapter that was trained on another base model")
	})
	cli.Section(fs, "Output", func(fs *pflag.FlagSet) {
		fs.StringVar(&r.output, "output", "", "GGUF `file` to write; its directory must exist")
		fs.StringVar(&r.kind, "type", "f16", strings.Join(llamacpp.Types(), ", ")+": how most weights are stored")
		fs.StringVar(&r.modelfile, "modelfile", "", "`file` to describe the model to Ollama in; default: none")
		fs.BoolVar(&r.overwrite, "overwrite", false, "replace --output and --modelfile if they exist")
		fs.IntVar(&r.threads, "threads", 0, "processors to use; 0: all. Results do not depend on it")
	})
	cli.Section(fs, "Messages", r.log.Add)
	cli.Leaf(cmd)
	return cmd
}

func (r *exportRun) run(cmd *cobra.Command) (err error) {
	if r.console, err = cli.NewConsole(r.env, r.log, cmd.Flags()); err != nil {
		return err
	}
	if err := r.checkFlags(); err != nil {
		return cli.UsageError(err)
	}
	return withModel(r.model, r.threads, func(b *base.Base, pool *op.Pool) error {
		return r.write(cmd.Context(), b, pool)
	})
}

// write writes the GGUF file and, if asked for, the Modelfile.
func (r *exportRun) write(ctx context.Context, b *base.Base, pool *op.Pool) error {
	b, err := b.ForAdapter(r.adapter.Dir, r.console.Log)
	if err != nil {
		return err
	}
	t, err := llamacpp.Open(base.Opening{Base: b, Adapter: r.adapter, Log: r.console.Log, Pool: pool})
	if err != nil {
		return err
	}
	e, err := llamacpp.Export(ctx, t, r.output, r.kind, pool)
	if err != nil {
		return err
	}
	for _, note := range e.Notes {
		r.console.Log.Warn().Msg(note)
	}
	fmt.Fprintf(r.env.Out, "exported %d tensors (%s); logits of the file and of the model differ by at most %.2g "+
		"(largest logit %.3g)\nfile: %s\n", e.Tensors, r.kind, e.Difference, e.Logit, r.output)
	if r.modelfile == "" {
		return nil
	}
	text, notes, err := llamacpp.Modelfile(b, r.from())
	if err != nil {
		return err
	}
	for _, note := range notes {
		r.console.Log.Warn().Msg(note)
	}
	if err := files.WriteFile(r.modelfile, files.Bytes([]byte(text))); err != nil {
		return err
	}
	fmt.Fprintf(r.env.Out, "modelfile: %s\n", r.modelfile)
	return nil
}

// from returns the path of the GGUF file from the Modelfile's directory, or an absolute one where there is none.
func (r *exportRun) from() string {
	to, err := filepath.Abs(r.output)
	if err != nil {
		return r.output
	}
	if dir, err := filepath.Abs(filepath.Dir(r.modelfile)); err == nil {
		if path, err := filepath.Rel(dir, to); err == nil {
			if !strings.HasPrefix(path, "..") {
				path = "." + string(filepath.Separator) + path
			}
			return path
		}
	}
	return to
}

// checkFlags checks everything that can be checked before a file is opened.
func (r *exportRun) checkFlags() error {
	var errs []error
	if r.model == "" {
		errs = append(errs, errors.New("--model is missing; give the directory of the model to export"))
	}
	if r.output == "" {
		errs = append(errs, errors.New("--output is missing; give the GGUF file to write"))
	}
	if err := llamacpp.CheckType(r.kind); err != nil {
		errs = append(errs, err)
	}
	if r.threads < 0 {
		errs = append(errs, cli.ThreadsError(r.threads))
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if r.modelfile != "" {
		if err := checkFile("modelfile", r.modelfile, r.overwrite, r.model); err != nil {
			return err
		}
		if filepath.Clean(r.modelfile) == filepath.Clean(r.output) {
			return errors.New("--modelfile and --output are the same file; give two")
		}
	}
	return checkFile("output", r.output, r.overwrite, r.model)
}

// checkFile returns an error unless a command may write a file: its directory must exist, and an older file may be
// replaced only with overwrite, and never if it is the input.
func checkFile(flag, path string, overwrite bool, input string) error {
	dir := filepath.Dir(path)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("--%s %s: there is no directory %s; make it first", flag, path, dir)
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("--%s %s: this is not a regular file; give another path", flag, path)
	case files.Same(path, input):
		return fmt.Errorf("--%s %s: this is the model itself; give another file", flag, path)
	case !overwrite:
		return fmt.Errorf("--%s %s: the file exists; give another, or --overwrite", flag, path)
	}
	return nil
}
