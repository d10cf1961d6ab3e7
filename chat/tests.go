package chat

type testFunc func(r *renderer, v any, p params) bool

func tests() map[string]testFunc {
	is := func(check func(v any) bool) testFunc {
		return func(_ *renderer, v any, p params) bool {
			p.bind()
			return check(v)
		}
	}
	with := func(check func(v, other any) bool) testFunc {
		return func(_ *renderer, v any, p params) bool {
			other := p.bind("other")[0]
			p.need(other)
			return check(v, other)
		}
	}
	remainder := func(v any, by, want int64) bool {
		i, f, isInt, ok := number(v)
		switch {
		case !ok:
			fail("%s is not a number", typeName(v))
		case isInt:
			return integers("%", i, by) == any(want)
		}
		return floats("%", f, float64(by)) == any(float64(want))
	}
	out := map[string]testFunc{
		"boolean": is(func(v any) bool { _, ok := v.(bool); return ok }),
		"callable": is(func(v any) bool {
			switch v.(type) {
			case *function, undefined: // Undefined has a __call__
				return true
			}
			return false
		}),
		"defined": is(func(v any) bool { _, no := v.(undefined); return !no }),
		"divisibleby": with(func(v, other any) bool {
			_, _, isInt, ok := number(other)
			if n, _, _, _ := number(other); ok && isInt {
				return remainder(v, n, 0)
			}
			fail("divisibleby needs an integer")
			return false
		}),
		"eq": with(equal), "even": is(func(v any) bool { return remainder(v, 2, 0) }),
		"false": is(func(v any) bool { return v == false }),
		"filter": is(func(v any) bool {
			name, _ := v.(string)
			_, ok := filters()[name]
			if !ok {
				fail("whether Jinja has the filter %s is not known", repr(v))
			}
			return ok
		}),
		"float": is(func(v any) bool { _, ok := v.(float64); return ok }),
		"ge":    with(comparisons[">="]), "gt": with(comparisons[">"]), "in": with(contains),
		"integer": is(func(v any) bool { _, ok := v.(int64); return ok }),
		"iterable": is(func(v any) bool {
			switch v.(type) {
			case undefined, string, *list, *dict:
				return true
			}
			return false
		}),
		"le": with(comparisons["<="]), "lt": with(comparisons["<"]),
		"lower":   is(func(v any) bool { return every(pythonString(v), "islower") }),
		"mapping": is(func(v any) bool { _, ok := v.(*dict); return ok }),
		"ne":      with(comparisons["!="]), "none": is(func(v any) bool { return v == nil }),
		"number":   is(func(v any) bool { _, _, _, ok := number(v); return ok }),
		"odd":      is(func(v any) bool { return remainder(v, 2, 1) }),
		"sameas":   with(same),
		"sequence": is(isSequence), "string": is(func(v any) bool { _, ok := v.(string); return ok }),
		"true":      is(func(v any) bool { return v == true }),
		"undefined": is(func(v any) bool { _, no := v.(undefined); return no }),
		"upper":     is(func(v any) bool { return every(pythonString(v), "isupper") }),
	}
	for name, of := range map[string]string{"==": "eq", "equalto": "eq", "!=": "ne", ">": "gt", "greaterthan": "gt",
		">=": "ge", "<": "lt", "lessthan": "lt", "<=": "le"} {
		out[name] = out[of]
	}
	return out
}

func isSequence(v any) bool {
	switch v := v.(type) {
	case undefined, string, *dict:
		return true
	case *list:
		return v.kind <= numbers
	}
	return false
}

func same(a, b any) bool {
	switch a.(type) {
	case nil, bool, *list, *dict, *namespace, *function:
		return a == b
	}
	switch b.(type) {
	case nil, bool, *list, *dict, *namespace, *function:
		return false
	}
	fail("sameas of %s depends on how Python stores values: compare with ==", typeName(a))
	return false
}
