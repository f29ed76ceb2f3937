/** Lets a reader choose the next step of a recorded game. Needs what `diagramScript` defines. */
export const gameScript = `
class Scheduler {
  constructor(place) {
    this.panel = place.querySelector('.panel')
    this.said = place.querySelector('[role=status]')
    this.picture = place.querySelector('figure')
    this.isHinting = false
    this.open(0)
    place.addEventListener('click', ({ target }) => this.act(target.closest('button')))
    place.addEventListener('change', ({ target }) => {
      if (target.name === 'game') this.open(Number(target.value))
      else this.isHinting = target.checked
      this.render(target.name)
    })
  }

  open(number) {
    this.number = number
    this.game = data.games[number]
    this.outlooks = []
    this.startAgain()
    this.render(null)
  }

  startAgain() {
    this.path = []
    this.past = []
  }

  get at() { return this.path.at(-1) ?? this.game.root }
  childrenOf(node) { return this.game.nodes[node][1] }
  stepOf(node) { return this.game.steps[this.game.nodes[node][0]] }
  isPlayer(name) { return this.game.players.includes(name) }

  act(button) {
    if (!button) return
    const { act, node } = button.dataset
    const before = this.path.length
    if (act === 'again') this.startAgain()
    else if (act === 'undo') this.path.length = this.past.pop() ?? 0
    else if (act === 'on') this.goToChoice()
    else if (act === 'run') this.run(this.stepOf(this.at).actor)
    else this.path.push(Number(node))
    if (this.path.length > before) {
      this.past.push(before)
      this.playUnchosen()
    }
    this.render(button.dataset.key)
  }

  /** Plays on while there is nothing to choose. */
  goToChoice() {
    while (this.childrenOf(this.at).length === 1) this.path.push(this.childrenOf(this.at)[0])
  }

  /** Lets the same actor go on until it cannot. */
  run(actor) {
    let next
    while ((next = this.childrenOf(this.at).find((node) => this.stepOf(node).choice === 'Let ' + actor + ' go on')))
      this.path.push(next)
  }

  /** Recovery and retries run at a fixed time. */
  playUnchosen() {
    for (let next; ([next] = this.childrenOf(this.at)), next !== undefined; this.path.push(next))
      if (this.childrenOf(this.at).length > 1 || this.isPlayer(this.stepOf(next).actor)) break
  }

  /** Sums up the recorded schedules that go on from a node. */
  outlook(node) {
    return (this.outlooks[node] ??= this.lookAhead(node))
  }

  lookAhead(node) {
    const children = this.childrenOf(node)
    const end = this.game.ends[this.game.nodes[node][3]]
    const seen = { schedules: 0, broken: 0, switches: 0, actors: new Set(), end }
    if (end) Object.assign(seen, { schedules: 1, broken: end.violations.length > 0 ? 1 : 0 })
    for (const child of children) {
      const next = this.outlook(child)
      seen.schedules += next.schedules
      seen.broken += next.broken
      seen.switches = Math.max(seen.switches, next.switches + (this.isSwitch(node, child) ? 1 : 0))
      for (const actor of [this.stepOf(child).actor, ...next.actors]) seen.actors.add(actor)
      seen.end ??= next.end
    }
    return seen
  }

  /** Another actor goes on, although the last one could. */
  isSwitch(node, child) {
    const last = this.stepOf(node)?.actor
    const next = this.stepOf(child).actor
    return next !== last && this.isPlayer(next) && this.childrenOf(node).some((one) => this.stepOf(one).actor === last)
  }

  /** The steps so far, as a diagram draws them. */
  shown() {
    const { game, path } = this
    const steps = path.map((node) => ({ ...this.stepOf(node) }))
    path.forEach((node, at) => {
      for (const [sentAgo, answer, answeredAgo] of game.nodes[node][2])
        Object.assign(steps[at - sentAgo], { answer, answeredAt: at - answeredAgo })
    })
    return { actors: game.actors, servers: game.servers, steps }
  }

  render(focusKey) {
    const shown = this.shown()
    const isOver = this.childrenOf(this.at).length === 0
    const middle = isOver ? this.verdict(shown) : this.choices()
    this.panel.innerHTML = this.select() + this.actors(shown) + middle + this.tools()
    this.picture.innerHTML = shown.steps.length === 0
      ? '<p class="soft">The steps appear here.</p>'
      : diagram(shown) + asText(shown)
    const box = this.picture.querySelector('.diagram')
    if (box) box.scrollTop = box.scrollHeight
    this.said.textContent = sayStep(shown.steps)
    if (focusKey !== null) this.focusAgain(focusKey)
  }

  /** The panel was written anew. If the control that had the focus is gone, the first button has it. */
  focusAgain(key) {
    const controls = [...this.panel.querySelectorAll('[data-key]:not([disabled])')]
    const same = controls.find(({ dataset }) => dataset.key === key)
    const focused = same ?? controls.find(({ tagName }) => tagName === 'BUTTON')
    focused?.focus({ preventScroll: true })
  }

  select() {
    const options = data.games.map(({ workload, off, ends }, n) =>
      '<option value="' + n + '"' + (n === this.number ? ' selected' : '') + '>' +
      escapeText(workload + (off.length > 0 ? ', without ' + off.join(', ') : ', with all layers')) + '</option>')
    return '<label class="pick">Game <select name="game" data-key="game">' + options.join('') + '</select></label>'
  }

  actors(shown) {
    const rows = shown.actors.map((name) => '<tr><th scope="row" class="' + colorOf(shown, name) + '">' +
      escapeText(name) + '</th><td>' + escapeText(this.stateOf(name, shown.steps)) + '</td></tr>')
    return '<table class="states"><tbody>' + rows.join('') + '</tbody></table>'
  }

  stateOf(name, steps) {
    const { actors, end } = this.outlook(this.at)
    const wait = steps.findIndex((step) => step.actor === name && step.waits && step.answeredAt === null)
    const isDead = steps.some((step) => step.actor === name && step.fault === 'crash')
    const next = this.childrenOf(this.at).find((node) => this.stepOf(node).actor === name)
    if (isDead) return 'died'
    if (wait >= 0) return 'waits for a lock since step ' + (wait + 1)
    if (next !== undefined) return 'sends next: ' + data.texts[this.stepOf(next).text][0]
    if (actors.has(name)) return this.isPlayer(name) ? 'could go on, but no switch is left' : 'comes later'
    return name in end.endings ? 'returned: ' + (end.endings[name] ?? 'nothing, it died') : 'has nothing to do'
  }

  choices() {
    const { switches } = this.outlook(this.at)
    const children = this.childrenOf(this.at)
    const last = this.stepOf(this.at)?.actor
    const buttons = children.map((node) => this.choice(node)).sort()
    const isRunning = children.length > 1 && children.some((node) => this.stepOf(node).actor === last)
    const run = isRunning ? button('run', 'Let ' + last + ' run until it ends or waits') : ''
    const on = children.length === 1 ? button('on', 'To the next choice') : ''
    const most = this.outlook(this.game.root).switches
    const left = '<p>Switches that are left: <b>' + switches + '</b> of ' + most + '</p>'
    return left + '<div class="choices">' + buttons.join('') + run + on + '</div>'
  }

  choice(node) {
    const { choice, text } = this.stepOf(node)
    const { broken, schedules } = this.outlook(node)
    const hint = this.isHinting ? '<small>' + broken + ' of ' + schedules + ' go wrong</small>' : ''
    return '<button data-key="' + escapeText(choice) + '" data-node="' + node + '"><b>' + escapeText(choice) + '</b>' +
      '<small>' + escapeText(data.texts[text][0]) + '</small>' + hint + '</button>'
  }

  tools() {
    const isAtStart = this.path.length === 0
    return '<div class="tools">' + button('undo', 'Undo', isAtStart) + button('again', 'Start again', isAtStart) +
      '<label><input type="checkbox" name="hint" data-key="hint"' + (this.isHinting ? ' checked' : '') +
      '> show how many schedules go wrong</label></div>'
  }

  verdict({ steps }) {
    const { end } = this.outlook(this.at)
    const { broken, schedules } = this.outlook(this.game.root)
    const taken = steps.filter(({ money }) => money !== null).length
    const times = taken === 0 ? 'not charged' : taken === 1 ? 'charged once' : 'charged ' + taken + ' times'
    const isBroken = end.violations.length > 0
    const line = isBroken
      ? 'You did it: this must never happen, and layers that are off here prevent it.'
      : 'Nothing is broken. ' + broken + ' of ' + schedules + ' schedules of this game go wrong: undo and try again.'
    const found = end.violations.map((what) => '<li>' + escapeText(what) + '</li>')
    return '<div class="verdict-box ' + (isBroken ? 'bad' : 'good') + '"><p><b>The customer was ' + times + '.</b> ' +
      line + '</p><ul class="outcome">' + found.join('') + '</ul></div>'
  }
}

function button(act, text, isDisabled) {
  const attributes = ' data-key="' + act + '" data-act="' + act + '"' + (isDisabled ? ' disabled' : '')
  return '<button' + attributes + '>' + escapeText(text) + '</button>'
}

function sayStep(steps) {
  const step = steps.at(-1)
  if (!step) return ''
  const answer = step.outcome === 'lost' ? 'It never arrives.' : 'Answer: ' + (answerText(step) || 'none yet') + '.'
  return 'Step ' + steps.length + ': ' + step.actor + ' sends ' + data.texts[step.text][0] + '. ' + answer
}

const gamePlace = document.getElementById('game')
if (gamePlace && data.games.length > 0) new Scheduler(gamePlace)
`
