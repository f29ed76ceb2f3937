/** Lets a reader choose the next step of a recorded game. Needs what `diagramScript` defines. */
export const gameScript = `
/** The scheduler's choice in words. Schedules with equal choices so far have equal steps so far. */
function choiceOf({ actor, fault, outcome, notes }) {
  const faults = notes.filter(({ kind }) => kind === 'fault').map(({ text }) => text + '. ').join('')
  if (fault === 'crash') return faults + actor + ' dies ' + (outcome === 'lost' ? 'before' : 'after') + ' its message arrives'
  return faults + 'Let ' + actor + ' go on' + (fault === 'lose-answer' ? ', and lose its answer' : '')
}

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
    this.game = data.games[number]
    this.runs = this.game.runs.map((run) => ({ ...run, steps: run.steps.map((step) => this.game.steps[step]) }))
    for (const run of this.runs) run.choices = run.steps.map(choiceOf)
    this.startAgain()
    this.render(null)
  }

  startAgain() {
    this.path = []
    this.past = []
  }

  /** The recorded schedules that begin with these choices. */
  runsAfter(path) {
    return this.runs.filter(({ choices }) => path.every((choice, at) => choices[at] === choice))
  }

  /** The choices that were recorded after the last one, each with its step. */
  nexts() {
    const at = this.path.length
    const entries = this.runsAfter(this.path).map(({ choices, steps }) => [choices[at], steps[at]])
    return new Map(entries.filter(([choice]) => choice !== undefined))
  }

  act(button) {
    if (!button) return
    const { act, key } = button.dataset
    const before = this.path.length
    if (act === 'again') this.startAgain()
    else if (act === 'undo') this.path.length = this.past.pop() ?? 0
    else if (act === 'run') while (this.nexts().has(this.goOn)) this.path.push(this.goOn)
    else this.path.push(key)
    if (this.path.length > before) {
      this.past.push(before)
      // Where there is nothing to choose, the game goes on by itself.
      for (let nexts; (nexts = this.nexts()).size === 1; ) this.path.push(...nexts.keys())
    }
    this.render(key)
  }

  get goOn() { return 'Let ' + this.shown().steps.at(-1)?.actor + ' go on' }

  /** The steps so far, as a diagram draws them. An answer that comes later is not known yet. */
  shown() {
    const at = this.path.length
    const steps = this.runsAfter(this.path)[0].steps.slice(0, at)
    const seen = steps.map((step) => (step.answeredAt >= at ? { ...step, answer: null, answeredAt: null } : step))
    return { ...this.game, steps: seen }
  }

  render(focusKey) {
    const shown = this.shown()
    const middle = this.nexts().size === 0 ? this.verdict(shown) : this.choices()
    this.panel.innerHTML = this.select() + this.switches(shown) + middle + this.tools()
    this.picture.innerHTML = shown.steps.length === 0
      ? '<p class="soft">The steps appear here.</p>'
      : diagram(shown) + asText(shown)
    const box = this.picture.querySelector('.diagram')
    if (box) box.scrollTop = box.scrollHeight
    this.said.textContent = shown.steps.length > 0 ? 'Step ' + shown.steps.length + ': ' + sayStep(shown.steps.at(-1)) : ''
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
    const options = data.games.map((game, n) => '<option value="' + n + '"' + (game === this.game ? ' selected' : '') + '>' +
      escapeText(game.workload + ', ' + (game.off.length > 0 ? 'without ' + game.off.join(', ') : 'with all layers')) + '</option>')
    return '<label class="pick">Game <select name="game" data-key="game">' + options.join('') + '</select></label>'
  }

  /** At most as many as any recorded schedule has. */
  switches({ steps }) {
    const { off, about } = this.game
    const most = Math.max(...this.runs.map((run) => switchesIn(run.steps)))
    const layers = off.length > 0 ? ' Layers off: ' + off.join(', ') + '.' : ' All layers are on.'
    return '<p class="soft">' + escapeText(about + layers) + '</p>' +
      '<p>Switches used: <b>' + switchesIn(steps) + ' of ' + most + '</b></p>'
  }

  choices() {
    const nexts = this.nexts()
    const buttons = [...nexts].sort().map(([choice, step]) => this.choice(choice, step))
    const run = nexts.has(this.goOn) ? button('run', this.goOn + ' until it ends or waits') : ''
    return '<div class="choices">' + buttons.join('') + run + '</div>'
  }

  choice(choice, step) {
    const used = switchesIn([step]) > 0 ? ' <span class="note">uses a switch</span>' : ''
    const hint = this.isHinting ? '<small>' + brokenIn(this.runsAfter([...this.path, choice])) + ' go wrong</small>' : ''
    return '<button data-key="' + escapeText(choice) + '"><b>' + escapeText(choice) + '</b>' + used +
      '<small>' + escapeText(data.texts[step.text][0]) + '</small>' + hint + '</button>'
  }

  tools() {
    const isAtStart = this.path.length === 0
    return '<div class="tools">' + button('undo', 'Undo', isAtStart) + button('again', 'Start again', isAtStart) +
      '<label><input type="checkbox" name="hint" data-key="hint"' + (this.isHinting ? ' checked' : '') +
      '> show how many schedules go wrong</label></div>'
  }

  verdict({ steps }) {
    const [end] = this.runsAfter(this.path)
    const taken = steps.filter(({ money }) => money === 'taken' || money === 'taken again').length
    const times = ['not charged', 'charged once', 'charged twice'][taken] ?? 'charged ' + taken + ' times'
    const line = end.violations.length > 0
      ? 'You did it: this must never happen, and layers that are off here prevent it.'
      : 'Nothing is broken. In this game, ' + brokenIn(this.runs) + ' recorded schedules go wrong.'
    return '<div class="verdict-box ' + (end.violations.length > 0 ? 'bad' : 'good') + '"><p><b>The customer was ' + times +
      '.</b> ' + line + '</p></div>' + outcome(end)
  }
}

const brokenIn = (runs) => runs.filter(({ violations }) => violations.length > 0).length + ' of ' + runs.length
const switchesIn = (steps) => steps.filter(({ notes }) => notes.some(({ kind }) => kind === 'switch')).length
const button = (act, text, isDisabled) => '<button data-key="' + act + '" data-act="' + act + '"' +
  (isDisabled ? ' disabled' : '') + '>' + escapeText(text) + '</button>'

const gamePlace = document.getElementById('game')
if (gamePlace && data.games.length > 0) new Scheduler(gamePlace)
`
