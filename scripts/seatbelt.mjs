// The way in: `npm run demo`, `npm start`, `npm run load`, `npm run review`, `npm run reconcile`, `npm test`,
// `npm run explore`, `npm run conformance`, `npm run clean`. It is written so that any Node can read it, because it
// must be able to say that this Node is too old; everything else stands in bootstrap.mjs.

import process from 'node:process'

const REQUIRED = [20, 19]

const [major, minor] = process.versions.node.split('.').map(Number)

if (process.platform === 'win32') {
  refuse(
    'Seatbelt needs Linux or macOS. On Windows, clone and run it inside WSL: https://learn.microsoft.com/windows/wsl',
  )
} else if (major < REQUIRED[0] || (major === REQUIRED[0] && minor < REQUIRED[1])) {
  refuse(`Seatbelt needs Node ${REQUIRED.join('.')} or newer; this is ${process.versions.node} (${process.execPath}).`)
} else {
  void import('./bootstrap.mjs').then(({ bootstrap }) => bootstrap(process.argv.slice(2)))
}

function refuse(reason) {
  process.stderr.write(`${reason}\n`)
  process.exitCode = 2
}
