// Package spalora fine-tunes transformers with LoRA on the CPU, without Python, and predicts with the result. It opens
// adapters, merged models and Hugging Face checkpoints, and trains adapters that PEFT reads.
//
// A prediction with a trained adapter:
//
//	m, err := spalora.Open("runs/reviews", spalora.WithBase("bert-base-uncased"))
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	classes, err := m.Classify(ctx, "My card still has not arrived.")
//
// [Finetune] trains an adapter, with the typed configuration of a task type: [SeqCls], [TokenCls],
// [QuestionAnswering], [MultipleChoice], [Embedding], [CausalLM], [Seq2SeqLM], [Translation], [SpeechSeq2Seq] or
// [ImageClassification]. Its fields are the flags of the finetune command, and the output directory is the same, bit
// for bit.
//
// Errors wrap [ErrSettings] if the settings are at fault and [ErrInput] if a file is. Their texts name settings in
// backquotes (`max_length`), which are fields here and flags of the commands.
package spalora

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/causallm"
	"github.com/spalora/spalora/tasks/embed"
	"github.com/spalora/spalora/tasks/imagecls"
	"github.com/spalora/spalora/tasks/multiplechoice"
	"github.com/spalora/spalora/tasks/qa"
	"github.com/spalora/spalora/tasks/seq2seq"
	"github.com/spalora/spalora/tasks/seqcls"
	"github.com/spalora/spalora/tasks/speechseq2seq"
	"github.com/spalora/spalora/tasks/tokencls"
	"github.com/spalora/spalora/tokenize"
)

// ErrSettings is wrapped by errors about settings that have no meaning, contradict each other or do not fit a model
// or its data.
var ErrSettings = base.ErrSettings

// ErrInput is wrapped by errors about a file that is missing, damaged or made for something else.
var ErrInput = base.ErrInput

// ErrClosed is wrapped by the error of a call on a model that is closed.
var ErrClosed = errors.New("the model is closed")

// Run holds the settings that fine-tuning has in common for all task types.
type Run = tasks.Run

// AllWeights are the settings of runs that train all weights of a model in place of an adapter.
type AllWeights = tasks.AllWeights

// Results is the outcome of a run: the content of results.json.
type Results = tasks.Results

// Forecast is what [DryRun] says about a run.
type Forecast = tasks.Forecast

// The configurations of the task types.
type (
	// SeqCls trains a classifier of texts and pairs, or a regression.
	SeqCls = seqcls.Finetuning
	// TokenCls trains a classifier of tokens: named entities, slots, parts of speech.
	TokenCls = tokencls.Finetuning
	// QuestionAnswering trains a model that finds the answer to a question in a context.
	QuestionAnswering = qa.Finetuning
	// MultipleChoice trains a model that picks one of the choices of a question.
	MultipleChoice = multiplechoice.Finetuning
	// Embedding trains a sentence encoder on pairs of texts.
	Embedding = embed.Finetuning
	// CausalLM trains a language model.
	CausalLM = causallm.Finetuning
	// Seq2SeqLM trains an encoder–decoder that writes a target for a source.
	Seq2SeqLM = seq2seq.Finetuning
	// Translation trains a translator.
	Translation = seq2seq.Translation
	// SpeechSeq2Seq trains a model that writes down what is said in recordings.
	SpeechSeq2Seq = speechseq2seq.Finetuning
	// ImageClassification trains a classifier of images, or a regression.
	ImageClassification = imagecls.Finetuning
)

// Finetune trains an adapter with a configuration, such as a *[SeqCls], and returns the content of results.json. See
// [tasks.Finetune].
func Finetune(ctx context.Context, c tasks.Finetuning) (*Results, error) {
	if err := checkNil(c); err != nil {
		return nil, err
	}
	return tasks.Finetune(ctx, c, Kinds())
}

// DryRun says what [Finetune] with the same configuration will train, and how much memory, time and disk space that
// will take. It trains nothing and writes nothing. See [tasks.DryRun].
func DryRun(ctx context.Context, c tasks.Finetuning) (*Forecast, error) {
	if err := checkNil(c); err != nil {
		return nil, err
	}
	return tasks.DryRun(ctx, c, Kinds())
}

// checkNil returns an error if there is no configuration.
func checkNil(c tasks.Finetuning) error {
	if v := reflect.ValueOf(c); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return base.Settings(errors.New("the configuration is nil; give a pointer to that of a task type, as SeqCls"))
	}
	return nil
}

// Kinds returns the task types, in the order in which an adapter that names none is compared with them.
func Kinds() []tasks.Kind {
	return []tasks.Kind{seqcls.Kind, tokencls.Kind, qa.Kind, multiplechoice.Kind, embed.Kind, causallm.Kind,
		seq2seq.Kind, seq2seq.TranslationKind, speechseq2seq.Kind, imagecls.Kind}
}

// Model is a trained model that predicts. It is safe for concurrent use: concurrent calls return bit for bit the
// results of sequential ones. It keeps its workers and the memory of a call for the next.
type Model struct {
	base      *base.Base
	own       bool // the base is closed with the model
	kind      tasks.Kind
	predictor tasks.Predictor // what it was opened with
	pool      *op.Pool
	opening   tasks.Opening // of further adapters

	adapters atomic.Pointer[registry]
	changing sync.Mutex // held while the registry is replaced

	mu      sync.Mutex // guards closed, and running against calls that begin while Close waits
	closed  bool
	running sync.WaitGroup
}

// Option changes how a model is opened.
type Option func(*opening)

// opening collects the options.
type opening struct {
	dir      string
	model    string
	files    map[string][]byte
	inMemory bool // the base is files
	opened   *base.Base
	custom   *tokenize.Tokenizer
	task     string
	threads  int
	other    bool
	log      zerolog.Logger
	settings tasks.Settings
	kinds    []tasks.Kind
	named    []Adapter // further adapters
	headless bool
}

// WithBase names the base model of an adapter: a Hugging Face directory or a GGUF file. Messages call it `model`.
// Without it the base is looked for under the name that the adapter has for it (base_model_name_or_path), as a path.
func WithBase(path string) Option { return func(o *opening) { o.model = path } }

// WithBaseFiles gives the base model of an adapter in memory: the files of a Hugging Face directory by name. The name
// is used in messages.
func WithBaseFiles(name string, files map[string][]byte) Option {
	return func(o *opening) { o.model, o.files, o.inMemory = name, files, true }
}

// WithOpenedBase shares a base that is open already; the model does not close it.
func WithOpenedBase(b *base.Base) Option { return func(o *opening) { o.opened = b } }

// WithTokenizer makes t tokenise in place of the tokenizer in the base's files, which may be missing then. It is the
// tokenizer that the adapter was trained with ([Run].CustomTokenizer), which [tokenize.New] or package
// tokenize/gotokenizers has made. An adapter that was trained with another custom tokenizer is an error, unless
// [WithOtherBase] accepts it.
func WithTokenizer(t *tokenize.Tokenizer) Option { return func(o *opening) { o.custom = t } }

// WithTask says what a model is for, by the command of its task type ("seq-cls", "token-cls", "question-answering",
// "multiple-choice", "embed", "causal-lm", "seq2seq-lm", "translation" or "image-classification"), where the adapter or
// the checkpoint does not. Messages call it `task`.
func WithTask(command string) Option { return func(o *opening) { o.task = command } }

// WithThreads sets the number of processors to use; 0, the default, is all. Results do not depend on it.
func WithThreads(n int) Option { return func(o *opening) { o.threads = n } }

// WithOtherBase accepts an adapter that was trained on another base model, or with another custom tokenizer. Messages
// call it `allow_other_base`.
func WithOtherBase() Option { return func(o *opening) { o.other = true } }

// WithLogger sets the logger for warnings about the model; by default they are discarded.
func WithLogger(log zerolog.Logger) Option { return func(o *opening) { o.log = log } }

// WithSettings gives settings of the task's predictions: a pointer to the Settings of its package, such as
// [seqcls.Settings]. Zero fields take the values that the adapter remembers, else the defaults.
func WithSettings(s tasks.Settings) Option { return func(o *opening) { o.settings = s } }

// WithKinds replaces the task types that a model may be for.
func WithKinds(kinds []tasks.Kind) Option { return func(o *opening) { o.kinds = kinds } }

// WithAdapter loads a further adapter under a name, as [Model.Load] does. It may be given several times. If Open gets
// no directory, the base then needs no trained head, and its task is that of the first adapter.
func WithAdapter(name, dir string) Option {
	return func(o *opening) { o.named = append(o.named, Adapter{Name: name, Dir: dir}) }
}

// WithoutHead opens a base without a trained head, which [WithTask] must name the task of. Calls must name an adapter
// that [Model.Load] has loaded.
func WithoutHead() Option { return func(o *opening) { o.headless = true } }

// Open opens a trained model: the directory of an adapter (made here or by PEFT), of a merged model, or of a
// checkpoint with a trained head. dir may be empty if an option names a base, which is then used without an adapter.
// Open returns an error if the head is not trained. The caller must close the model.
func Open(dir string, options ...Option) (m *Model, err error) {
	o := &opening{dir: dir, log: zerolog.Nop(), kinds: Kinds()}
	for _, option := range options {
		option(o)
	}
	if o.threads < 0 {
		return nil, base.Settings(fmt.Errorf("`threads` is %d; want 1 or more, or 0 for all processors", o.threads))
	}
	adapter := base.Adapter{OtherBase: o.other}
	switch based := o.model != "" || o.inMemory || o.opened != nil; {
	case dir == "" && !based && len(o.named) == 0:
		return nil, base.Settings(errors.New("spalora: nothing to open; give the directory of an adapter or a model"))
	case dir != "" && (based || isAdapter(dir)):
		adapter.Dir = dir
	case dir != "":
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return nil, base.Input(fmt.Errorf("spalora: there is no directory %s; give one of an adapter or a model", dir))
		}
		o.model = dir
	}
	m = &Model{}
	m.adapters.Store(&registry{})
	shows := adapter.Dir // the adapter that shows task and base
	if dir == "" && len(o.named) > 0 {
		shows = o.named[0].Dir
	}
	named, sure, err := o.kind(shows)
	if err != nil {
		return nil, err
	}
	if m.base, m.own, err = o.base(shows); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
			m = nil
		}
	}()
	switch {
	case sure:
		m.kind = named
	case shows != "":
		m.kind, err = tasks.Recognise(o.kinds, shows, m.base, named)
	default:
		m.kind, err = tasks.OfBase(o.kinds, m.base)
	}
	if err != nil {
		return m, err
	}
	m.pool = op.NewPool(o.threads)
	shared := &base.Shared{Headless: o.headless || adapter.Dir == "" && len(o.named) > 0}
	m.opening = tasks.Opening{
		Opening:  base.Opening{Base: m.base, Adapter: adapter, Log: o.log, Pool: m.pool, Shared: shared},
		Settings: o.settings, Tapes: tasks.NewTapes(m.pool),
	}
	first := m.opening
	if first.Base, err = m.base.ForAdapter(adapter.Dir, o.log); err != nil {
		return m, err
	}
	p, err := m.kind.Open(first)
	if err != nil {
		return m, err
	}
	m.predictor = p // not before: with an error it may be an interface that holds a nil pointer
	for _, a := range o.named {
		if err := m.Load(a.Name, a.Dir); err != nil {
			return m, fmt.Errorf("adapter %q: %w", a.Name, err)
		}
	}
	return m, nil
}

// kind returns the kind that the options or the adapter name; sure is false if the base has to decide.
func (o *opening) kind(adapter string) (k tasks.Kind, sure bool, err error) {
	switch {
	case o.task == "" && adapter == "":
		return k, false, nil
	case o.task == "":
		return tasks.Explicit(o.kinds, adapter, "")
	}
	if k, err = tasks.Find(o.kinds, o.task); err == nil && adapter != "" {
		if err = base.CheckAdapterDir(adapter); err == nil {
			err = base.Input(k.Check(adapter))
		}
	}
	return k, true, err
}

// base opens the base, unless it is open already.
func (o *opening) base(adapter string) (b *base.Base, own bool, err error) {
	switch {
	case o.opened != nil && o.custom != nil:
		other := *o.opened
		other.Tokenizer = o.custom
		return &other, false, nil
	case o.opened != nil:
		return o.opened, false, nil
	case o.inMemory:
		b, err = base.FromFiles(o.model, o.files, base.WithTokenizer(o.custom))
		return b, true, err
	case o.model == "":
		c, _, err := lora.ReadConfig(adapter)
		if err != nil {
			return nil, false, base.Input(err)
		}
		if _, err := os.Stat(c.BaseModel); err != nil {
			return nil, false, base.Settings(fmt.Errorf("%s: the adapter's base model %q is not a directory here; "+
				"give it with `model` (WithBase)",
				adapter, c.BaseModel))
		}
		o.model = c.BaseModel
	}
	b, err = base.Open(o.model, base.WithTokenizer(o.custom))
	return b, true, err
}

// isAdapter reports whether dir holds an adapter or a part of one, not a model.
func isAdapter(dir string) bool {
	return slices.ContainsFunc(lora.FileNames(), func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	})
}

// Close waits for calls that are running, ends the workers of the model and releases its memory. Calls that begin
// later return an error that wraps [ErrClosed]. Close must not be called by a function that a call of the model has
// called. It may be called again.
func (m *Model) Close() error {
	m.mu.Lock()
	closed := m.closed
	m.closed = true
	m.mu.Unlock()
	m.running.Wait()
	if closed {
		return nil
	}
	var err error
	if m.predictor != nil {
		err = m.predictor.Close()
	}
	if m.opening.Tapes != nil {
		err = errors.Join(err, m.opening.Tapes.Close())
	}
	if m.pool != nil {
		m.pool.Close()
	}
	if m.own && m.base != nil {
		err = errors.Join(err, m.base.Close())
	}
	return err
}

// begin notes that a call runs, unless the model is closed. The call must end with m.running.Done.
func (m *Model) begin() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return fmt.Errorf("spalora: %w; open it again", ErrClosed)
	}
	m.running.Add(1)
	return nil
}

// Task returns the command of the task type that the model is for, such as "seq-cls".
func (m *Model) Task() string { return m.kind.Command }
