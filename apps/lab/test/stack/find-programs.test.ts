import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { cacheFolder } from '../../../../scripts/cache-folder.mjs'
import { chooseProxy } from '../../src/stack/build-with-go.ts'
import { findK6 } from '../../src/stack/k6-binary.ts'
import { findRedis } from '../../src/stack/redis-binary.ts'
import { findStripeMock } from '../../src/stack/stripe-mock.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** Nothing listens there, so that a download fails at once. */
const unreachable = 'http://127.0.0.1:1'

describe('redis', () => {
  it('is the one that is named, before any other', async () => {
    const machine = prepareMachine()
    machine.program('redis-server', 'exit 0')
    const given = machine.program('my-redis', 'exit 0')
    expect(await findRedis(machine.surroundings({ REDIS_SERVER_BIN: given }))).toBe(given)
    await expect(findRedis(machine.surroundings({ REDIS_SERVER_BIN: '/no/such' }))).rejects.toThrow(
      'REDIS_SERVER_BIN names /no/such',
    )
  })

  it('is Redis on PATH, or else Valkey', async () => {
    const machine = prepareMachine()
    const valkey = machine.program('valkey-server', 'exit 0')
    expect(await findRedis(machine.surroundings())).toBe(valkey)
    const redis = machine.program('redis-server', 'exit 0')
    expect(await findRedis(machine.surroundings())).toBe(redis)
  })

  it('is the one in the cache, if that runs', async () => {
    const machine = prepareMachine()
    const cached = machine.cached('redis/bin/redis-server', 'exit 0')
    expect(await findRedis(machine.surroundings())).toBe(cached)
    machine.cached('redis/bin/redis-server', 'exit 1')
    await expect(findRedis(machine.surroundings())).rejects.toMatchObject({ code: 'missing-program' })
  })

  it('is taken from the packages of the distribution, with the libraries that are missing, and cached', async () => {
    const machine = prepareMachine()
    machine.fakeDebian()
    const found = await findRedis(machine.surroundings())
    expect(found).toBe(join(machine.cache, 'redis/bin/redis-server'))
    expect(spawnSync(found, ['--port', '1'], { encoding: 'utf8' }).stdout).toContain('redis-server runs with --port 1')
    expect(machine.asked()).toEqual(['apt-get download redis-tools', 'apt-get download libmissing1'])
    expect(await findRedis(machine.surroundings())).toBe(found)
    expect(machine.asked().length).toBe(2)
  })

  it('fetches package lists of its own where the machine has none', async () => {
    const machine = prepareMachine()
    machine.fakeDebian({ lists: false })
    await findRedis(machine.surroundings())
    const [plain, update, download] = machine.asked()
    expect(plain).toBe('apt-get download redis-tools')
    expect(update).toMatch(/Dir::State::Lists=.* update$/)
    expect(download).toMatch(/Dir::State::Lists=.* download redis-tools$/)
  })

  it('that cannot be had is one message with ways to get it', async () => {
    await expect(findRedis(prepareMachine().surroundings())).rejects.toThrow(
      /No Redis server.*brew install.*REDIS_URLS=/s,
    )
  })
})

describe('k6', () => {
  it('is the one that is named, unless that is too old', async () => {
    const machine = prepareMachine()
    machine.program('k6', printsVersion('2.2.0'))
    const given = machine.program('my-k6', printsVersion('1.8.0'))
    expect(await findK6({ ...machine.surroundings({ K6_BIN: given }), releasesUrl: unreachable })).toBe(given)
    const old = machine.program('old-k6', printsVersion('1.7.9'))
    await expect(findK6(machine.surroundings({ K6_BIN: old }))).rejects.toThrow('not a k6 of version 1.8 or later')
  })

  it('is the one on PATH, unless that is too old, then the one in the cache', async () => {
    const machine = prepareMachine()
    const onPath = machine.program('k6', printsVersion('2.0.0'))
    const cached = machine.cached('k6-2.2.0/k6', printsVersion('2.2.0'))
    expect(await findK6({ ...machine.surroundings(), releasesUrl: unreachable })).toBe(onPath)
    machine.program('k6', printsVersion('0.57.0'))
    expect(await findK6({ ...machine.surroundings(), releasesUrl: unreachable })).toBe(cached)
  })

  it('is downloaded when its checksum is the published one, and cached', async () => {
    const machine = prepareMachine()
    machine.linkFromSystem('tar', 'gzip')
    const releases = await serveReleases(machine.folder, { honest: true })
    const found = await findK6({ ...machine.surroundings(), releasesUrl: releases.url })
    expect(found).toBe(join(machine.cache, 'k6-2.2.0/k6'))
    expect(await findK6({ ...machine.surroundings(), releasesUrl: unreachable })).toBe(found)
    expect(releases.requests()).toBe(2)
  })

  it('with another checksum is thrown away, and built with Go instead', async () => {
    const machine = prepareMachine()
    machine.linkFromSystem('tar', 'gzip')
    machine.fakeGo('https://proxy.example,direct')
    const releases = await serveReleases(machine.folder, { honest: false })
    const found = await findK6({ ...machine.surroundings(), releasesUrl: releases.url })
    expect(readFileSync(found, 'utf8')).toContain('built by go')
    expect(machine.asked()).toEqual(['go build with GOPROXY=https://proxy.example'])
  })

  it('that cannot be had is one message: what was tried, and the three ways', async () => {
    const machine = prepareMachine()
    machine.program('k6', printsVersion('0.57.0'))
    machine.program('go', 'echo "no such module"; exit 1')
    const finding = findK6({ ...machine.surroundings(), releasesUrl: unreachable })
    await expect(finding).rejects.toMatchObject({ code: 'missing-program', expected: true })
    const message = await finding.catch((error: Error) => error.message)
    for (const part of ['older than 1.8', 'Downloading from 127.0.0.1:1 failed', 'no such module']) {
      expect(message).toContain(part)
    }
    for (const way of ['on PATH', 'K6_BIN=', 'install Go']) expect(message).toContain(way)
  })
})

describe('stripe-mock', () => {
  it('is built with Go, together with the description in its module, and cached', async () => {
    const machine = prepareMachine()
    machine.linkFromSystem('mkdir', 'chmod', 'dirname')
    machine.fakeGoOfStripeMock()
    const found = await findStripeMock(machine.surroundings())
    const folder = join(machine.cache, 'stripe-mock-0.203.0')
    expect(found).toEqual({ program: join(folder, 'stripe-mock'), description: join(folder, 'spec3.json') })
    expect(readFileSync(found.description, 'utf8')).toBe('the description')
    expect(await findStripeMock(machine.surroundings())).toEqual(found)
    expect(machine.asked()).toEqual(['go build github.com/stripe/stripe-mock'])
  })

  it('that cannot be built is one message: why, and what to do', async () => {
    const finding = findStripeMock(prepareMachine().surroundings())
    await expect(finding).rejects.toMatchObject({ code: 'missing-program', expected: true })
    await expect(finding).rejects.toThrow(/not found on PATH.*Install Go/s)
  })
})

it('a proxy list is cut before `direct`, and left alone where it does not fall back to it', () => {
  expect(chooseProxy('https://proxy.golang.org,direct')).toBe('https://proxy.golang.org')
  expect(chooseProxy('https://a.example|https://b.example|direct')).toBe('https://a.example')
  expect(chooseProxy('https://a.example,https://b.example')).toBe('https://a.example,https://b.example')
  expect(chooseProxy('direct')).toBe('direct')
  expect(chooseProxy('off')).toBe('off')
})

it('the cache belongs to the user, where the system wants caches', () => {
  expect(cacheFolder({ HOME: '/home/a', XDG_CACHE_HOME: '/var/cache/a' }, 'linux')).toBe('/var/cache/a/seatbelt')
  expect(cacheFolder({ HOME: '/home/a', XDG_CACHE_HOME: 'not/absolute' }, 'linux')).toBe('/home/a/.cache/seatbelt')
  expect(cacheFolder({ HOME: '/Users/a' }, 'darwin')).toBe('/Users/a/Library/Caches/seatbelt')
})

/** A machine whose PATH holds nothing but what the test puts there. */
function prepareMachine() {
  const folder = temporaryFolder()
  const bin = join(folder, 'bin')
  const cache = join(folder, 'cache')
  const note = join(folder, 'asked')
  mkdirSync(bin)
  writeFileSync(note, '')
  usePath(bin)
  const write = (path: string, body: string) => {
    mkdirSync(join(path, '..'), { recursive: true })
    writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 })
    return path
  }
  const program = (name: string, body: string) => write(join(bin, name), body)
  const linkFromSystem = (...names: string[]) => {
    for (const name of names) program(name, `PATH=/usr/bin:/bin exec /usr/bin/env ${name} "$@"`)
  }
  return {
    folder,
    cache,
    program,
    linkFromSystem,
    cached: (name: string, body: string) => write(join(cache, name), body),
    surroundings: (environment: NodeJS.ProcessEnv = {}) => ({
      cache,
      environment: { PATH: bin, ...environment },
      logs: join(folder, 'logs'),
      say: () => undefined,
    }),
    /** What the fake tools were asked for, in order. */
    asked: () => readFileSync(note, 'utf8').split('\n').filter(Boolean),

    /** `redis-tools` needs two libraries; one of them is installed. */
    fakeDebian({ lists = true } = {}) {
      linkFromSystem('mkdir', 'dirname', 'cat', 'touch')
      program(
        'apt-get',
        `echo "apt-get $*" >> ${note}
        ${lists ? '' : 'case "$*" in "download redis-tools") exit 100;; esac'}
        for name; do :; done
        [ "$name" = update ] || touch "$name.deb"`,
      )
      program('dpkg', '[ "$2" = libinstalled1 ] && printf "Package: x\\nStatus: install ok installed\\n"')
      program(
        'dpkg-deb',
        `case "$1 $2" in
          "-f "*redis-tools.deb) echo "adduser, libinstalled1 (>= 1), libmissing1 | libother1, libc6 (>= 2)";;
          "-f "*) echo "libc6";;
          "-x "*redis-tools.deb)
            mkdir -p "$3/usr/bin"
            printf '#!/bin/sh\\necho "\${0##*/} runs with $*"\\n' > "$3/usr/bin/redis-check-rdb"
            /bin/chmod 755 "$3/usr/bin/redis-check-rdb";;
        esac`,
      )
    },

    fakeGoOfStripeMock() {
      program(
        'go',
        `case "$1" in
          build)
            for name; do :; done
            echo "go build $name" >> ${note}
            described="$GOMODCACHE/github.com/stripe/stripe-mock@v0.203.0/embedded/openapi/spec3.json"
            mkdir -p "$(dirname "$described")"
            printf 'the description' > "$described"
            printf '#!/bin/sh\\n' > stripe-mock
            chmod 755 stripe-mock;;
        esac`,
      )
    },

    fakeGo(goProxy: string) {
      linkFromSystem('chmod')
      program(
        'go',
        `case "$1" in
          env) echo "${goProxy}";;
          build)
            echo "go build with GOPROXY=$GOPROXY" >> ${note}
            printf '#!/bin/sh\\n# built by go\\necho "k6 v2.2.0 (go1.26)"\\n' > k6
            chmod 755 k6;;
        esac`,
      )
    },
  }
}

/** Tools are looked for by this process too. */
function usePath(bin: string): void {
  const before = process.env.PATH
  process.env.PATH = bin
  onTestFinished(() => {
    process.env.PATH = before
  })
}

function printsVersion(version: string): string {
  return `echo "k6 v${version} (go1.26, linux/amd64)"`
}

/** Releases as they are published: archives, each a folder with the program in it, and one file of checksums. */
async function serveReleases(folder: string, { honest }: { honest: boolean }) {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const linux = process.platform === 'linux'
  const name = linux ? `k6-v2.2.0-linux-${architecture}` : `k6-v2.2.0-macos-${architecture}`
  const archive = `${name}${linux ? '.tar.gz' : '.zip'}`
  mkdirSync(join(folder, name))
  writeFileSync(join(folder, name, 'k6'), `#!/bin/sh\n${printsVersion('2.2.0')}\n`, { mode: 0o755 })
  const packing = linux ? (['tar', ['-czf', archive, name]] as const) : (['zip', ['-qr', archive, name]] as const)
  spawnSync(packing[0], packing[1], { cwd: folder, env: { PATH: '/usr/bin:/bin' } })
  const content = readFileSync(join(folder, archive))
  const checksum = createHash('sha256')
    .update(honest ? content : 'something else')
    .digest('hex')
  let requests = 0
  const server = createServer((request, response) => {
    requests += 1
    if (request.url === `/v2.2.0/${archive}`) response.end(content)
    else if (request.url === '/v2.2.0/k6-v2.2.0-checksums.txt')
      response.end(`${'0'.repeat(64)}  other.rpm\n${checksum}  ${archive}\n`)
    else response.writeHead(404).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => new Promise<void>((resolve) => void server.close(() => resolve()).closeAllConnections()))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests: () => requests }
}
