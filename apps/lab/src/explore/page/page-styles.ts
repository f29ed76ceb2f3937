/** Of the explorer's page. Each color is given for light and for dark. */
export const styles = `
:root {
  color-scheme: light dark; --paper: light-dark(#fbfbf9, #14171a); --card: light-dark(#ffffff, #1c2024);
  --ink: light-dark(#1c2024, #e6e8ea); --soft: light-dark(#60676f, #9aa3ac); --line: light-dark(#dfe2e0, #31373d);
  --quiet: light-dark(#b9c0c7, #515a63); --a: light-dark(#1f5fd0, #6ea0ff); --b: light-dark(#a35a00, #e0a94f);
  --c: light-dark(#12807a, #4fbfb0); --d: light-dark(#7a45b5, #b896ea); --good: light-dark(#1a7f37, #4fc36b);
  --bad: light-dark(#c62f2f, #ff7b72); --open: light-dark(#8a6100, #d9b24a);
}
* { box-sizing: border-box; } body { background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; margin: 0; }
main { max-width: 76rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; } h2 { font-size: 1.25rem; margin: 2.75rem 0 .25rem; }
p { margin: .35rem 0; max-width: 50rem; } li { max-width: 50rem; } code { font-size: .85em; overflow-wrap: anywhere; }
.soft, footer, figcaption { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
.verdict { border: 2px solid; border-radius: 999px; font-weight: 700; letter-spacing: .04em; padding: .1rem .9rem; }
.valid { color: var(--good); } .invalid { color: var(--bad); } .unknown { color: var(--open); } .figures { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; }
.figures div, .card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .7rem 1rem; }
.figures dt { color: var(--soft); font-size: .9rem; } .figures dd { font-size: 1.5rem; font-weight: 650; margin: 0; }
.number { font-variant-numeric: tabular-nums; text-align: right; } summary { cursor: pointer; } footer { border-top: 1px solid var(--line); font-size: .9rem; margin-top: 3rem; padding-top: 1rem; }
.rows.card { margin: .75rem 0; padding: 0 1rem; } .rows > * { border-top: 1px solid var(--line); } .rows > :first-child { border: 0; }
.row { align-items: center; display: grid; gap: .15rem .9rem; padding: .55rem 0; } .claims .row { grid-template-columns: .8rem 8.5rem minmax(12rem, 1fr) 13rem 12rem 10rem; }
.mutants .row { grid-template-columns: .8rem 1fr 1fr 5rem 1fr 6rem; } .known .row { grid-template-columns: .8rem 1fr 10rem; }
.explored .row { grid-template-columns: .8rem 1.3fr 1fr 1fr 6rem 6rem 6rem; padding: .25rem 0; }
.explored .heading span:nth-child(n + 4), .mutants .heading span:last-child { text-align: right; }
.row::before { color: var(--soft); content: ''; } summary.row::before { content: '▸'; } details[open] > .row::before { content: '▾'; }
summary.row:hover { background: color-mix(in srgb, var(--a) 7%, transparent); } summary.row::marker { content: ''; }
.layer { font-weight: 650; } .heading { align-items: end; color: var(--soft); font-size: .85rem; }
.dots { display: grid; grid-template-columns: repeat(8, 1fr); justify-items: center; }
.heading .dots i { font-style: normal; line-height: 1; transform: rotate(180deg); writing-mode: vertical-rl; }
.dot { border: 1px solid var(--quiet); border-radius: 50%; display: inline-block; height: .8rem; width: .8rem; }
.dot.on { background: var(--soft); border-color: var(--soft); } .dot.off { height: .35rem; margin: .22rem; width: .35rem; }
.dot.itself { background: var(--a); border: 0; border-radius: 2px; rotate: 45deg; } .legend { color: var(--soft); display: flex; flex-wrap: wrap; font-size: .9rem; gap: .1rem 1.1rem; margin: .5rem 0; }
.beside { clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; white-space: nowrap; width: 1px; }
.pair { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(27rem, 100%), 1fr)); margin: .5rem 0 1.5rem; }
figure { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; margin: 0; min-width: 0; padding: .8rem .9rem; }
figcaption { font-size: .95rem; margin-bottom: .4rem; } .diagram svg { display: block; margin: 0 auto; width: 100%; }
.heads { background: var(--card); border-bottom: 1px solid var(--line); position: sticky; top: 0; }
svg text { fill: var(--ink); font: 11.5px ui-monospace, monospace; paint-order: stroke; stroke: var(--card); stroke-width: 2.5px; }
svg .name { font: 600 12px system-ui, sans-serif; text-anchor: middle; } svg .answer { text-anchor: end; } svg .answer, svg .back { fill: var(--soft); font-size: 10.5px; }
svg line { stroke-width: 1.4; } .lifeline, .life { stroke: var(--quiet); } .return { stroke: var(--soft); stroke-dasharray: 4 3; }
.actor-0 { --of: var(--a); } .actor-1 { --of: var(--b); } .actor-2 { --of: var(--c); } .actor-3 { --of: var(--d); }
.actor-4 { --of: var(--soft); } .reasons { color: var(--soft); columns: 2; font-size: .9rem; }
svg .life, .arrow, svg .wait { stroke: var(--of); } .point, svg .name[class*=actor] { fill: var(--of); }
svg .wait { opacity: .45; stroke-width: 7; } svg .sleep { stroke: var(--card); stroke-dasharray: 6 4; stroke-width: 4; }
svg line.fault { stroke: var(--bad); stroke-width: 2; } svg text.fault, svg text.bad { fill: var(--bad); }
svg text.took { fill: var(--good); font-weight: 700; } svg text.none { fill: var(--open); }
svg .own { fill: color-mix(in srgb, var(--open) 11%, transparent); } svg .parts { font-weight: 700; stroke-dasharray: 6 4; text-anchor: middle; }
svg line.parts { stroke: var(--open); } svg text.parts { fill: var(--open); stroke-dasharray: none; stroke-width: 9px; }
svg .note { fill: var(--bad); font-size: 10.5px; font-weight: 700; } svg .note.switch { fill: var(--soft); } span.note { color: var(--open); }
.again .arrow { stroke: var(--bad); stroke-width: 2.5; } .again .point, svg .again text { fill: var(--bad); font-weight: 700; }
.step:hover .label { text-decoration: underline; } .outcome { list-style: none; margin: .5rem 0; padding: 0; }
.texts { font-size: .9rem; margin-top: .5rem; } .texts summary, [role=status] { color: var(--soft); } #game { align-items: start; display: grid; gap: 1rem; grid-template-columns: minmax(18rem, 24rem) minmax(0, 1fr); margin: 1rem 0; }
#game .diagram { max-height: 70vh; overflow: auto; } .side { position: sticky; top: 1rem; } .pick select { display: block; font: inherit; width: 100%; }
.choices { display: grid; gap: .5rem; margin: .75rem 0; } .tools { display: flex; flex-wrap: wrap; gap: .5rem; }
button { background: var(--card); border: 1px solid var(--soft); border-radius: .45rem; color: inherit; cursor: pointer; font: inherit;
  padding: .4rem .8rem; text-align: left; } button:hover { border-color: var(--a); } button:disabled { cursor: default; opacity: .5; } button small { color: var(--soft); display: block; }
:focus-visible { outline: 3px solid var(--a); outline-offset: 2px; } .verdict-box { border-left: 4px solid; margin: .75rem 0; padding-left: .8rem; }
[role=status] { font-size: .9rem; min-height: 3em; }
@media (max-width: 68rem) {
  .rows .heading.row { display: none; } .figures div { padding: .4rem .7rem; } #game { grid-template-columns: minmax(0, 1fr); } .side { position: static; }
  .rows .row { grid-template-columns: .8rem 1fr; } .row > * { grid-column: 2; } .row::before { grid-row: 1; } .dots, [data-head=layers] { display: none; }
  .row > [data-head]:not(:first-child)::before { color: var(--soft); content: attr(data-head) ': '; } .row .number { text-align: left; }
  main { padding: 1.5rem .9rem 3rem; } figure { padding: .5rem; } .reasons { columns: auto; }
  svg text { font-size: 13.5px; } svg .name { font-size: 12px; } svg .answer, svg .back, svg .note { font-size: 12.5px; }
  .explored .row { display: block; } .explored .row > [data-head] { display: inline; margin-right: .8em; }
  .beside { clip-path: none; color: var(--soft); display: block; font-size: .9rem; height: auto; position: static; white-space: normal; width: auto; }
}
`
