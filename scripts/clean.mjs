// `npm run clean`: this checkout as it was cloned, but for node_modules. It needs nothing installed.

import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from './cache-folder.mjs'
import { reapAllRuns } from './run-records.mjs'

export async function clean({ root, cache, say }) {
  const stopped = await reapAllRuns(join(root, '.seatbelt'))
  if (stopped.length > 0) say(`stopped  ${stopped.join(', ')}`)
  const paths = [
    join(root, '.seatbelt'),
    join(root, '.turbo'),
    ...buildOutputs(root),
    ...(cache ? [cacheFolder()] : []),
  ]
  for (const path of paths.filter((path) => existsSync(path))) {
    rmSync(path, { recursive: true, force: true })
    say(`removed  ${path}`)
  }
  return 0
}

function buildOutputs(root) {
  const folders = ['apps', 'packages'].flatMap((parent) =>
    readdirSync(join(root, parent)).map((name) => join(root, parent, name)),
  )
  const generated = join(root, 'packages/database/src/generated')
  return [...folders.flatMap((folder) => [join(folder, 'dist'), join(folder, '.turbo')]), generated]
}
