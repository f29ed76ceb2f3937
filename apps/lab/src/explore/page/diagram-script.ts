/** Draws schedules as sequence diagrams, in the browser: a page has many, and a reader opens few. */
export const diagramScript = String.raw`
const data = JSON.parse(document.getElementById('data').textContent)
const serverTitles = { postgres: 'PostgreSQL', redis: 'Redis', gateway: 'gateway' }
const rowHeight = 36
/** SQLSTATEs in words. A guard of our own raises SB001. */
const errors = { 23505: 'exists already', '25P02': 'failed before', '40P01': 'deadlock', '55P03': 'time-out', SB001: 'guard failed' }

function escapeText(text) {
  return String(text).replace(/[&<>"]/g, (character) => '&#' + character.charCodeAt(0) + ';')
}

function tag(name, attributes, content) {
  const written = Object.entries(attributes).map(([key, value]) => ' ' + key + '="' + escapeText(value) + '"')
  return '<' + name + written.join('') + '>' + (content ?? '') + '</' + name + '>'
}

const line = (kind, x1, y1, x2, y2) => tag('line', { class: kind, x1, y1, x2, y2 })
const words = (kind, x, y, text) => tag('text', { class: kind, x, y }, escapeText(text))
const cross = (x, y) => line('fault', x - 5, y - 5, x + 5, y + 5) + line('fault', x - 5, y + 5, x + 5, y - 5)

/** Actors stand left of the servers, so that every message goes to the right. */
function placesOf({ actors, servers }) {
  const x = {}
  actors.forEach((name, n) => { x[name] = 30 + 60 * n })
  const first = 30 + 60 * (actors.length - 1) + 170
  servers.forEach((name, n) => { x[name] = first + 82 * n })
  return { x, width: first + 82 * (servers.length - 1) + 44 }
}

/** shown: { actors, servers, steps, partsAt }. */
function diagram(shown) {
  const { x, width } = placesOf(shown)
  const height = rowHeight * (Math.max(...shown.steps.map((step, at) => step.row ?? at)) + 2)
  const drawing = (kind, high, content) =>
    tag('svg', { class: kind, viewBox: '0 0 ' + width + ' ' + high, style: 'max-width:' + width + 'px' }, content)
  const heads = [...shown.actors, ...shown.servers].map((name) =>
    words('name ' + colorOf(shown, name), x[name], 18, serverTitles[name] ?? name))
  const lifelines = shown.servers.map((name) => line('lifeline', x[name], 0, x[name], height))
  const lives = shown.actors.map((name) => drawLife(shown, name, x[name]))
  const steps = shown.steps.map((step, at) => drawStep(shown, step, at, x))
  const body = [...drawDifferences(shown, width), ...lifelines, ...lives, ...steps].join('')
  return '<div class="diagram" tabindex="0" role="group" aria-label="Sequence diagram. Its steps follow as text">' +
    drawing('heads', 26, heads.join('')) + drawing('body', height, body) + '</div>'
}

/** Beside another diagram: the first difference, and the steps that the other one does not have. */
function drawDifferences({ steps, partsAt }, width) {
  const top = (row) => rowHeight * (row + 0.05)
  const bands = steps.filter(({ isOwn }) => isOwn).map(({ row }) =>
    tag('rect', { class: 'own', x: 0, y: top(row), width, height: rowHeight }))
  const y = top((partsAt ?? 0) + 0.5)
  const mark = line('parts', 0, y, width, y) + words('parts', width / 2, y + 4, 'here the two part')
  return typeof partsAt === 'number' ? [...bands, mark] : bands
}

const colorOf = ({ actors }, name) => (actors.includes(name) ? 'actor-' + (actors.indexOf(name) % 5) : '')
const rowOf = ({ steps }, at) => rowHeight * ((steps[at].row ?? at) + 0.7)
const notesText = ({ notes }) => notes.map(({ text }) => text).join(', ')

/** The last row in which something of this step happens. */
function endOf({ steps }, at) {
  const { waits, answeredAt, fault } = steps[at]
  return waits && fault !== 'crash' ? (answeredAt ?? steps.length - 1) : at
}

/** From the first step of an actor to its last, with its waits and its sleep. */
function drawLife(shown, name, x) {
  const own = [...shown.steps.keys()].filter((at) => shown.steps[at].actor === name)
  if (own.length === 0) return ''
  const color = colorOf(shown, name)
  const last = own.at(-1)
  const end = rowOf(shown, endOf(shown, last)) + (shown.steps[last].fault === 'crash' ? 0 : 12)
  const parts = [line('life ' + color, x, rowOf(shown, own[0]) - 12, x, end)]
  own.forEach((at, nth) => {
    const { waits, fault } = shown.steps[at]
    const y = rowOf(shown, at)
    const awake = nth > 0 ? rowOf(shown, endOf(shown, own[nth - 1])) : 0
    if (waits && fault !== 'crash') parts.push(line('wait ' + color, x, y, x, rowOf(shown, endOf(shown, at)) + 14))
    if (fault === 'pause') parts.push(line('sleep', x, awake + 8, x, y - 8))
  })
  return parts.join('')
}

function drawStep(shown, step, at, x) {
  const [label, full] = data.texts[step.text]
  const [from, to, y] = [x[step.actor], x[step.server] ?? x[step.actor], rowOf(shown, at)]
  const color = colorOf(shown, step.actor)
  const isLost = step.outcome === 'lost'
  const reached = isLost ? from + (to - from) * 0.6 : to
  const parts = [tag('title', {}, escapeText(at + 1 + '. ' + full)), line('arrow ' + color, from, y, reached, y)]
  parts.push(words('label', from + 8, y - 6, label))
  if (isLost) parts.push(cross(reached, y))
  else if (to > from) parts.push(tag('path', { class: 'point ' + color, d: 'M' + to + ' ' + y + 'l-7 -3.5v7z' }))
  const [note] = step.notes
  if (note) parts.push(words('note ' + note.kind, (x[note.actor] ?? from) + 8, y - 20, notesText(step)))
  if (step.fault === 'crash') parts.push(cross(from, y), words('fault', from + 8, y + 12, 'dies'))
  const kind = step.money === 'taken again' ? 'step again' : 'step'
  return tag('g', { class: kind }, parts.join('') + drawAnswer(shown, at, from, to))
}

/** Right below its message. An answer that was waited for stands in the row in which the wait ends. */
function drawAnswer(shown, at, from, to) {
  const step = shown.steps[at]
  const y = rowOf(shown, at) + 12
  const wait = step.waits ? words('answer none', to - 9, y, 'waits for a lock') : ''
  if (step.waits && step.answeredAt === null) return wait
  const text = answerText(step)
  const end = rowOf(shown, step.waits ? step.answeredAt : at)
  if (step.outcome === 'unanswered') {
    const middle = (from + to) / 2
    return wait + line('return', to, end + 16, middle, end + 16) + cross(middle, end + 16) +
      words('answer fault', to - 9, end + 12, text)
  }
  if (!step.waits) return words('answer ' + answerKind(step), to - 9, y, text)
  return wait + line('return', to, end + 15, from, end + 15) + words('back ' + answerKind(step), from + 8, end + 12, text)
}

function answerText({ answer, money, outcome }) {
  const error = errors[/^error (\w+)/.exec(answer)?.[1]]
  const lost = outcome === 'unanswered' ? ' (lost)' : ''
  const taken = { reserved: ': money reserved', taken: ': money taken', 'taken again': ': MONEY TAKEN AGAIN' }[money] ?? ''
  return (answer ?? '') + (error ? ': ' + error : '') + lost + taken
}

function answerKind({ answer, money }) {
  if (money === 'taken again' || /^(error|[45]\d\d)/i.test(answer ?? '')) return 'bad'
  if (money !== null) return 'took'
  return /^(UPDATE 0|INSERT 0 0|DELETE 0|ROLLBACK|nil)$/.test(answer ?? '') ? 'none' : ''
}

/** The results of the actors, and the violations. */
function outcome({ endings, violations }) {
  const returned = Object.entries(endings).map(([actor, ending]) =>
    '<li><b>' + escapeText(actor) + '</b> ' + escapeText(ending ?? 'died') + '</li>')
  const broken = violations.map((what) => '<li class="bad">' + escapeText(what) + '</li>')
  const found = broken.join('') || '<li class="good">no violation</li>'
  return '<ul class="outcome">' + returned.join('') + found + '</ul>'
}

function sayStep(step) {
  const fate = step.outcome === 'lost' ? 'it never arrives' : answerText(step) || 'it waits'
  const wait = step.answeredAt === null ? '' : ' (after step ' + (step.answeredAt + 1) + ')'
  return step.actor + ' sends ' + data.texts[step.text][0] + ' → ' + fate + wait
}

function asText({ steps }) {
  const items = steps.map((step) => '<li><i>' + escapeText(notesText(step)) + '</i> ' + escapeText(sayStep(step)) +
    ' <code>' + escapeText(data.texts[step.text][1]) + '</code></li>')
  return '<details class="texts"><summary>All steps as text</summary><ol>' + items.join('') + '</ol></details>'
}

/** Figures are drawn when a reader opens what they are in. */
document.addEventListener('toggle', ({ target }) => {
  for (const figure of target.querySelectorAll('figure[data-execution]:not(.drawn)')) {
    const shown = data.executions[figure.dataset.execution]
    figure.classList.add('drawn')
    figure.insertAdjacentHTML('beforeend', diagram(shown) + outcome(shown) + asText(shown))
  }
}, true)
`
