package document

import (
	"strings"

	"github.com/spalora/spalora/data"
)

// Instructions returns a file of prompts that are called instructions as one of Instructions without inputs, so that
// it is written like another file whose rows have inputs. Other files are returned unchanged.
func (f *File) Instructions() *File {
	if f.Kind != Prompt || data.Fold(f.Columns.Prompt) != "instruction" {
		return f
	}
	out := data.Part(f, 0, f.Len())
	out.Kind = Instruction
	return out
}

// Chats returns a file in which Instructions are chats of a user, who gives the instruction and, in a line of its own,
// the input, and an assistant, who gives the output. Files of other kinds are returned unchanged.
func (f *File) Chats() *File {
	return f.converted(Chat, func(d Document) Document {
		chat := Document{Line: d.Line}
		if d.System != "" {
			chat.Messages = append(chat.Messages, Message{Role: "system", Content: d.System})
		}
		question := d.Prompt
		if d.Input != "" {
			question += "\n" + d.Input
		}
		chat.Messages = append(chat.Messages, Message{Role: "user", Content: question},
			Message{Role: "assistant", Content: d.Completion})
		return chat
	})
}

// Prompts returns a file in which Instructions are prompts in the form of Stanford Alpaca, which has another beginning
// for rows with an input, with the output as the completion. A system prompt takes the place of the beginning. Files of
// other kinds are returned unchanged.
func (f *File) Prompts() *File {
	return f.converted(Prompt, func(d Document) Document {
		var b strings.Builder
		switch {
		case d.System != "":
			b.WriteString(d.System)
		case d.Input != "":
			b.WriteString("Below is an instruction that describes a task, paired with an input that provides further context. ")
			b.WriteString("Write a response that appropriately completes the request.")
		default:
			b.WriteString("Below is an instruction that describes a task. ")
			b.WriteString("Write a response that appropriately completes the request.")
		}
		b.WriteString("\n\n### Instruction:\n" + d.Prompt)
		if d.Input != "" {
			b.WriteString("\n\n### Input:\n" + d.Input)
		}
		b.WriteString("\n\n### Response:")
		return Document{Prompt: b.String(), Completion: d.Completion, Line: d.Line}
	})
}

// converted returns a file of another kind whose documents were made from Instructions.
func (f *File) converted(kind Kind, convert func(Document) Document) *File {
	if f.Kind != Instruction {
		return f
	}
	out := data.Map(f, convert)
	out.Kind = kind
	return out
}
