// Package chat turns chats into the text that a model was trained on, with the chat template of its checkpoint, and
// reports which parts of that text the assistant wrote.
//
//	t, err := chat.Load(src.File)
//	text, err := t.Render(messages, chat.Options{AddGenerationPrompt: true})
//	segments, err := t.Segments(messages, 0, chat.Options{})
//
// Templates are Jinja, rendered as by transformers' apply_chat_template: trim_blocks, lstrip_blocks, loop controls,
// raise_exception, strftime_now, a tojson that keeps < and >, and {% generation %} blocks. github.com/ardanlabs/jinja
// evaluates expressions. This package reads the text around them itself, because that library strips white space across
// tags and keeps variables that are set in a loop for the next round. Anything that the library does not support, or
// would silently do differently from Jinja, is refused by name when the template is loaded or rendered.
//
// # Untrusted templates
//
// A template comes with a checkpoint and is a program. Rounds of loops, calls of macros and their depth, numbers of
// range, lengths of variables, the length of the output and the time are limited; reaching a limit is an error. The
// work within one expression is not limited: repeating a string with *, replace, indent or join can still request more
// memory than is available. Do not load templates from people whose programs you would not run.
//
// # Differences from Jinja that remain
//
// Reading an attribute of an undefined value gives undefined, not an error; lstrip() and rstrip() without arguments
// strip only spaces, tabs and line ends; none joined to a string with ~ or + is empty instead of "None" or an error.
package chat
