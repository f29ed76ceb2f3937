/** Draws schedules as sequence diagrams, in the browser: a page has many, and a reader opens few. */
export const diagramScript = String.raw`
const data = JSON.parse(document.getElementById('data').textContent)
const serverTitles = { postgres: 'PostgreSQL', redis: 'Redis', gateway: 'gateway' }
const events = { flush: 'Redis forgets everything', pause: 'has slept past its lease' }
const rowHeight = 32

function escapeText(text) {
  return String(text).replace(/[&<>"]/g, (character) => '&#' + character.charCodeAt(0) + ';')
}

function tag(name, attributes, content) {
  const written = Object.entries(attributes).map(([key, value]) => ' ' + key + '="' + escapeText(value) + '"')
  return '<' + name + written.join('') + '>' + (content ?? '') + '</' + name + '>'
}

function line(kind, x1, y1, x2, y2) {
  return tag('line', { class: kind, x1, y1, x2, y2 })
}

function words(kind, x, y, text, more) {
  return tag('text', { class: kind, x, y, ...more }, escapeText(text))
}

function cross(kind, x, y) {
  return line(kind, x - 5, y - 5, x + 5, y + 5) + line(kind, x - 5, y + 5, x + 5, y - 5)
}

/** Actors stand left of the servers, so that every message goes to the right. */
function placesOf({ actors, servers }) {
  const x = {}
  actors.forEach((name, n) => { x[name] = 40 + 66 * n })
  const first = 40 + 66 * (actors.length - 1) + 165
  servers.forEach((name, n) => { x[name] = first + 82 * n })
  return { x, width: first + 82 * (servers.length - 1) + 44 }
}

/** shown: { actors, servers, steps }. */
function diagram(shown) {
  const { x, width } = placesOf(shown)
  const height = rowHeight * (shown.steps.length + 1)
  const drawing = (kind, high, content) =>
    tag('svg', { class: kind, viewBox: '0 0 ' + width + ' ' + high, style: 'max-width:' + width + 'px' }, content)
  const heads = [...shown.actors, ...shown.servers].map((name) =>
    words('name ' + colorOf(shown, name), x[name], 18, serverTitles[name] ?? name))
  const lifelines = shown.servers.map((name) => line('lifeline', x[name], 0, x[name], height))
  const lives = shown.actors.map((name) => drawLife(shown, name, x[name]))
  const steps = shown.steps.map((step, at) => drawStep(shown, step, at, x))
  const body = [...lifelines, ...lives, ...steps].join('')
  return '<div class="diagram" tabindex="0" role="group" aria-label="Sequence diagram. Its steps follow as text">' +
    drawing('heads', 26, heads.join('')) + drawing('body', height, body) + '</div>'
}

function colorOf({ actors }, name) {
  return actors.includes(name) ? 'actor-' + (actors.indexOf(name) % 4) : ''
}

function rowOf(at) {
  return rowHeight * (at + 0.7)
}

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
  const end = rowOf(endOf(shown, last)) + (shown.steps[last].fault === 'crash' ? 0 : 12)
  const parts = [line('life ' + color, x, rowOf(own[0]) - 12, x, end)]
  own.forEach((at, nth) => {
    const { waits, fault } = shown.steps[at]
    const awake = nth > 0 ? rowOf(endOf(shown, own[nth - 1])) : 0
    if (waits && fault !== 'crash') parts.push(line('wait ' + color, x, rowOf(at), x, rowOf(endOf(shown, at)) + 14))
    if (fault === 'pause') parts.push(line('sleep', x, awake + 8, x, rowOf(at) - 8))
  })
  return parts.join('')
}

function drawStep(shown, step, at, x) {
  const [label, full] = data.texts[step.text]
  const [from, to, y] = [x[step.actor], x[step.server] ?? x[step.actor], rowOf(at)]
  const color = colorOf(shown, step.actor)
  const isLost = step.outcome === 'lost'
  const reached = isLost ? from + (to - from) * 0.6 : to
  const parts = [tag('title', {}, escapeText(at + 1 + '. ' + full)), line('arrow ' + color, from, y, reached, y)]
  parts.push(words('label', from + 8, y - 6, label))
  if (isLost) parts.push(cross('fault', reached, y))
  else if (to > from) parts.push(tag('path', { class: 'point ' + color, d: 'M' + to + ' ' + y + 'l-7 -3.5v7z' }))
  if (step.fault in events) parts.push(words('fault', from + 8, y - 18, events[step.fault]))
  if (step.fault === 'crash') parts.push(cross('fault', from, y), words('fault', from + 8, y + 12, 'dies'))
  const kind = step.money === 'taken again' ? 'step again' : 'step'
  return tag('g', { class: kind }, parts.join('') + drawAnswer(step, at, from, to))
}

/** Right below its message. An answer that was waited for stands in the row in which the wait ends. */
function drawAnswer(step, at, from, to) {
  const y = rowOf(at) + 12
  const wait = step.waits ? words('answer none', to - 9, y, 'waits for a lock') : ''
  if (step.waits && step.answeredAt === null) return wait
  const text = answerText(step)
  const end = rowOf(step.waits ? step.answeredAt : at)
  if (step.outcome === 'unanswered') {
    const middle = (from + to) / 2
    return wait + line('return', to, end + 16, middle, end + 16) + cross('fault', middle, end + 16) +
      words('answer fault', to - 9, end + 12, text)
  }
  if (!step.waits) return words('answer ' + answerKind(step), to - 9, y, text)
  return wait + line('return', to, end + 15, from, end + 15) + words('back ' + answerKind(step), from + 8, end + 12, text)
}

function answerText({ answer, money, outcome }) {
  const lost = outcome === 'unanswered' ? ' (lost)' : ''
  const taken = { taken: ': money taken', 'taken again': ': MONEY TAKEN AGAIN' }[money] ?? ''
  return (answer ?? '') + lost + taken
}

function answerKind({ answer, money }) {
  if (money === 'taken again' || /^(error|[45]\d\d)/i.test(answer ?? '')) return 'bad'
  if (money === 'taken') return 'took'
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

function asText({ steps }) {
  const items = steps.map((step) => {
    const [label, full] = data.texts[step.text]
    const fate = step.outcome === 'lost' ? 'never arrives' : answerText(step) || 'waits'
    const wait = step.waits && step.answeredAt !== null ? ' (after step ' + (step.answeredAt + 1) + ')' : ''
    return '<li><b>' + escapeText(step.actor) + '</b> ' + (serverTitles[step.server] ?? step.server) + ': <code>' +
      escapeText(full) + '</code> → ' + escapeText(fate + wait) + '</li>'
  })
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
