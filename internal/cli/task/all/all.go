// Package all lists the task types of the command line. A new task adds its line.
package all

import (
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/causallm"
	"github.com/spalora/spalora/internal/cli/task/embed"
	"github.com/spalora/spalora/internal/cli/task/imagecls"
	"github.com/spalora/spalora/internal/cli/task/multiplechoice"
	"github.com/spalora/spalora/internal/cli/task/qa"
	"github.com/spalora/spalora/internal/cli/task/seq2seq"
	"github.com/spalora/spalora/internal/cli/task/seqcls"
	"github.com/spalora/spalora/internal/cli/task/speechseq2seq"
	"github.com/spalora/spalora/internal/cli/task/tokencls"
)

// Tasks returns the task types, in the order of --help.
func Tasks() []task.Descriptor {
	return []task.Descriptor{
		seqcls.Task,
		tokencls.Task,
		qa.Task,
		multiplechoice.Task,
		embed.Task,
		causallm.Task,
		seq2seq.LanguageModel,
		seq2seq.Translation,
		speechseq2seq.Task,
		imagecls.Task,
	}
}
