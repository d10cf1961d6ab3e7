// Package chat turns chats into the text that a model was trained on, with the chat template of its checkpoint, and
// reports which parts of that text the assistant wrote.
//
//	t, err := chat.Load(src.File)
//	text, err := t.Render(messages, chat.Options{AddGenerationPrompt: true})
//	segments, err := t.Segments(messages, 0, chat.Options{})
//
// Templates are Jinja, rendered as by transformers' apply_chat_template: trim_blocks, lstrip_blocks, loop controls,
// raise_exception, strftime_now, a tojson that keeps < and >, {% generation %} blocks, and a sandbox in which nothing
// changes a value. This package is an interpreter of its own for the statements, filters, tests, operators and methods
// of str, list and dict that templates use, with Python's values and messages. On 6,344 small templates
// (reference/chat_expressions.py) it gives Jinja's text, or an error that names what it does not support.
//
// # Untrusted templates
//
// A template comes with a checkpoint and is a program. Rounds of loops, calls of macros and their depth, numbers of
// range, lengths of values and of the output, and the time are limited; reaching a limit is an error.
//
// # What is refused
//
// Integers beyond 64 bits, powers with exponents that are not halves, complex numbers, recursive loops, tuples as
// targets of set, arguments with * and **, include, import, extends, block, do and trans, format specifications of
// str.format, and the filters that make HTML (escape, urlize, xmlattr), pprint, random, urlencode, wordwrap and
// filesizeformat. An unknown filter or test is an error only where it is reached.
package chat
