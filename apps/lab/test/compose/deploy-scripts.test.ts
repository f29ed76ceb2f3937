import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { freePort } from '@seatbelt/testing'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../stack/temporary-folder.ts'
import { root } from './read-compose-file.ts'

function run(
  command: readonly [string, ...string[]],
  environment: Record<string, string>,
): Promise<{ code: number; output: string }> {
  const [program, ...args] = command
  return new Promise((resolve) => {
    const env = { PATH: process.env.PATH, ...environment }
    const child = execFile(program, args, { env, timeout: 20_000 }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, output: stdout + stderr }),
    )
  })
}

describe('deploy/ready.sh', () => {
  const ready = join(root, 'deploy/ready.sh')

  it.each([
    [200, 0],
    [503, 1],
  ])('takes a %i for exit code %i', async (status, code) => {
    const server = createServer((request, response) =>
      response.writeHead(request.url === '/readyz' ? status : 404).end(),
    )
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const answer = await run(['bash', ready], { PORT: String(port) })
    const elsewhere = await run(['bash', ready, '/elsewhere'], { PORT: String(port) })
    server.close()
    expect([answer.code, elsewhere.code]).toEqual([code, 1])
  })

  it('fails where nobody listens', async () => {
    expect((await run(['bash', ready], { PORT: String(await freePort()) })).code).not.toBe(0)
  })
})

describe('deploy/load.sh', () => {
  const load = join(root, 'deploy/load.sh')

  /** A k6 that ends as it is told, and prints what it was asked for. */
  function fakeK6(exitCode: number): Record<string, string> {
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'loadtests'))
    writeFileSync(join(folder, 'loadtests/some-load.ts'), '')
    writeFileSync(join(folder, 'k6'), `#!/bin/sh\necho "RUN=$RUN $*"\nexit ${exitCode}\n`)
    chmodSync(join(folder, 'k6'), 0o755)
    return { PATH: `${folder}:${process.env.PATH}`, LOADTESTS: join(folder, 'loadtests') }
  }

  it.each([
    [0, 'passed', 0],
    [99, 'failed', 1],
    [107, 'unknown', 2],
    [137, 'unknown', 2],
  ])("takes k6's %i for %s, with the exit code %i of npm run load", async (exitCode, outcome, code) => {
    const result = await run(['sh', load, 'some-load'], fakeK6(exitCode))
    expect(result.code).toBe(code)
    expect(result.output).toMatch(/RUN=some-load-\d+ run .*\/some-load\.ts/)
    expect(result.output).toContain(`some-load: ${outcome}`)
  })

  it.each(['', 'no-such-load', '../some-load', 'some-load.ts'])(
    'refuses the name %j, and says which there are',
    async (name) => {
      const result = await run(['sh', load, name], fakeK6(0))
      expect(result).toMatchObject({ code: 2, output: expect.stringContaining('  some-load\n') })
      expect(result.output).not.toContain('RUN=')
    },
  )
})
