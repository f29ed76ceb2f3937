/** The fields of a form or of a query: text, lists, and objects. */
export interface Form {
  [name: string]: Field
}

type Field = string | Field[] | Form

/** More than any parameter has. A name with more parts stays whole, and is refused as unknown. */
const maxParts = 5

/**
 * Reads Stripe's form encoding: `metadata[orderId]=o1` makes an object; `expand[]=x` and `expand[0]=x` make a list, in
 * the order of the text. A name that comes twice makes a list too, which no parameter for a single value accepts.
 */
export function parseForm(text: string): Form {
  const form = emptyForm()
  for (const [name, value] of new URLSearchParams(text)) {
    if (!name.endsWith(']')) put(form, name, value)
    else putNested(form, partsOf(name), value)
  }
  return form
}

/** Without a prototype, so that `__proto__` is a name like any other. */
function emptyForm(): Form {
  return Object.create(null)
}

/** `a[b][c]` has three parts. */
function partsOf(name: string): readonly string[] {
  const open = name.indexOf('[')
  if (open < 1) return [name]
  const parts = [name.slice(0, open), ...name.slice(open + 1, -1).split('][')]
  return parts.length > maxParts ? [name] : parts
}

function putNested(form: Form, parts: readonly string[], value: string): void {
  let place: Form | Field[] = form
  for (let index = 1; index < parts.length; index += 1) {
    place = descend(place, parts[index - 1] ?? '', parts[index] ?? '')
  }
  put(place, parts.at(-1) ?? '', value)
}

/** The object or list under a name. The part that follows decides which of them it becomes. */
function descend(place: Form | Field[], name: string, next: string): Form | Field[] {
  const present = Array.isArray(place) ? undefined : place[name]
  if (typeof present === 'object') return present
  const made = /^\d*$/.test(next) ? [] : emptyForm()
  put(place, name, made)
  return made
}

function put(place: Form | Field[], name: string, value: Field): void {
  if (Array.isArray(place)) place.push(value)
  else place[name] = place[name] === undefined ? value : [place[name], value].flat()
}
