import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { balancerLameDuckMs, refusalAnswer } from '@seatbelt/http'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { configSchema as bookingApiSchema } from '../../../booking-api/src/config.ts'
import { testApp as testBookingApi } from '../../../booking-api/test/test-app.ts'
import { configSchema as gatewaySchema } from '../../../gateway/src/config.ts'
import { configSchema as paymentsApiSchema } from '../../../payments-api/src/config.ts'
import { testApp as testPaymentsApi } from '../../../payments-api/test/test-app.ts'
import { configSchema as workerSchema } from '../../../worker/src/config.ts'
import { configSchema as migrateSchema } from '../../../worker/src/migrate/config.ts'
import { configSchema as auditorSchema } from '../../src/auditor/config.ts'
import { configSchema as mailSinkSchema } from '../../src/mail-sink/config.ts'
import {
  auditor,
  bookingApi,
  developmentApiKey,
  gateway,
  type Instance,
  mailSink,
  paymentsApi,
  type Service,
  services,
  webhookPath,
  worker,
} from '../../src/stack/description.ts'
import { fillIn } from '../../src/stack/start-stack.ts'
import { type ComposeService, readComposeFile, readText } from './read-compose-file.ts'

const compose = readComposeFile()

const described: [string, Service, Instance][] = services.flatMap((service) =>
  service.instances.map((instance): [string, Service, Instance] => [instance.name, service, instance]),
)
const programs = described.map(([name]) => name).concat('migrate')
/** What containers have and the native stack does not: it starts no balancer, one Redis, no page for mail, and migrates and loads by itself. */
const onlyInContainers = [
  'load-balancer',
  'mailpit',
  'migrate',
  'postgres',
  'k6',
  ...[1, 2, 3, 4, 5].map((node) => `redis-${node}`),
]
/** The variables that each service's programs read. */
const readBy = new Map<string, { readonly shape: object }>([
  [gateway.name, gatewaySchema],
  [auditor.name, auditorSchema],
  [mailSink.name, mailSinkSchema],
  [paymentsApi.name, paymentsApiSchema],
  [bookingApi.name, bookingApiSchema],
  [worker.name, workerSchema],
  ['migrate', migrateSchema],
])

/** What braces in the description stand for in containers. */
const addresses = new Map([
  ['database', 'postgresql://seatbelt:seatbelt@postgres:5432/seatbelt'],
  ['redis', [1, 2, 3, 4, 5].map((node) => `redis://redis-${node}:6379`).join(',')],
  ['state', '/var/lib/seatbelt'],
  ['gateway-deliveries', `http://load-balancer:4000${webhookPath}`],
  ...described.map(([name, , { port }]): [string, string] => [name, `http://${name}:${port}`]),
  ...described.flatMap(([name, , { furtherPorts = {} }]) =>
    Object.entries(furtherPorts).map(([variable, port]): [string, string] => [
      `${name}:${variable}`,
      `${name}:${port}`,
    ]),
  ),
])

function service(name: string): ComposeService {
  const found = compose.services[name]
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`)
  return found
}

describe('docker-compose.yml', () => {
  const validate = new Ajv({ strict: false, validateFormats: false }).compile(readSpecification())

  it('is valid by the schema of the Compose specification', () => {
    expect(validate(compose) ? [] : validate.errors).toEqual([])
  })

  it('would not be valid with a word that the specification does not know', () => {
    const misspelt = { ...service('postgres'), memlimit: '1g' }
    expect(validate({ ...compose, services: { ...compose.services, postgres: misspelt } })).toBe(false)
  })

  it('runs the described stack, and besides what only containers need', () => {
    const names = described.map(([name]) => name)
    expect(Object.keys(compose.services).sort()).toEqual([...names, ...onlyInContainers].sort())
  })
})

describe.each(described)(
  '%s in docker-compose.yml',
  (name, { program, heapMb, environment, startsAfter }, { port, furtherPorts = {} }) => {
    const container = service(name)

    it('runs the same program with the same bound on its heap', () => {
      expect(container.command).toEqual(['node', '--enable-source-maps', `--max-old-space-size=${heapMb}`, program])
    })

    it('has the same environment, its own name and its own port', () => {
      const expected = Object.entries(environment).map(([key, value]) => [key, fillIn(value, addresses)])
      expect(container.environment).toMatchObject({
        ...Object.fromEntries(expected),
        INSTANCE: name,
        PORT: String(port),
        ...Object.fromEntries(Object.entries(furtherPorts).map(([variable, further]) => [variable, String(further)])),
      })
    })

    it('starts after what it needs', () => {
      for (const earlier of startsAfter) expect(container.depends_on?.[earlier]?.condition).toBe('service_healthy')
      if ('DATABASE_URL' in environment) {
        expect(container.depends_on?.migrate?.condition).toBe('service_completed_successfully')
      }
    })

    it('is asked at the path that tells whether it is ready', () => {
      const { readinessPath } = services.find(({ instances }) => instances.some((one) => one.name === name)) ?? {}
      expect(readinessPath).toBe('/readyz')
      expect(container.healthcheck?.test).toEqual(['CMD', 'bash', 'deploy/ready.sh'])
    })
  },
)

describe.each(programs)('%s in a container', (name) => {
  const container = service(name)

  it('is given no variable that it does not read', () => {
    const program = described.find(([instance]) => instance === name)?.[1].name ?? name
    const known = Object.keys(readBy.get(program)?.shape ?? {})
    expect(Object.keys(container.environment ?? {}).filter((variable) => !known.includes(variable))).toEqual([])
  })

  it('is the one image', () => {
    expect([container.image, container.build]).toEqual(['seatbelt', '.'])
  })

  it('has room around its heap, and more time to stop than it takes', () => {
    const heapMb = Number(/--max-old-space-size=(\d+)/.exec(container.command?.join(' ') ?? '')?.[1])
    // Buffers, code, source maps and Prisma's WebAssembly. A replica under load was measured with 230 MB in all.
    expect(megabytes(container.mem_limit)).toBeGreaterThanOrEqual(heapMb + 192)
    // server-life-cycle.ts: 8 s of draining and 1.5 s of closing.
    expect(Number.parseInt(container.stop_grace_period ?? '', 10)).toBeGreaterThan(9.5)
  })
})

describe('every container', () => {
  const all = Object.entries(compose.services)

  it('is bounded in memory, processor and processes, and may gain no rights', () => {
    const unbounded = all.filter(([, one]) => !one.mem_limit || !one.cpus || !one.pids_limit)
    expect(unbounded.map(([name]) => name)).toEqual([])
    const privileged = all.filter(([, one]) => !one.security_opt?.includes('no-new-privileges:true'))
    expect(privileged.map(([name]) => name)).toEqual([])
  })

  it('cannot write to its own root, and has no rights but those that making a database takes', () => {
    expect(all.filter(([, one]) => !one.read_only).map(([name]) => name)).toEqual([])
    expect(all.filter(([, one]) => !one.cap_drop?.includes('ALL')).map(([name]) => name)).toEqual(['postgres'])
  })

  it('is asked how it is, and is started again after however many crashes', () => {
    const servers = all.filter(([name]) => name !== 'migrate' && name !== 'k6')
    expect(servers.filter(([, one]) => !one.healthcheck?.test).map(([name]) => name)).toEqual([])
    expect(new Set(servers.map(([, { restart }]) => restart))).toEqual(new Set(['unless-stopped']))
    expect(service('migrate').restart).toBe('no')
  })

  it('comes from an image with a version', () => {
    const foreign = new Set(all.map(([, { image }]) => image).filter((image) => image !== 'seatbelt'))
    for (const image of foreign) expect(image).toMatch(/:v?\d+(\.\d+)+$/)
    expect(readText('Dockerfile')).toMatch(/^ARG NODE=node:24\.\d+\.\d+-bookworm-slim$/m)
  })

  it('is out of reach but for the load balancer and the page for mail, and those from this machine alone', () => {
    const published = all.filter(([, { ports, network_mode: mode }]) => ports !== undefined || mode !== undefined)
    expect(published.map(([name]) => name)).toEqual(['load-balancer', 'mailpit'])
    expect(service('load-balancer').ports).toEqual(['127.0.0.1:4000:4000'])
    expect(service('mailpit').ports).toEqual(['127.0.0.1:8025:8025'])
  })

  it('keeps in a volume only what must survive it', () => {
    expect(Object.keys(compose.volumes).sort()).toEqual(['ledger', 'mail', 'postgres'])
    expect(service('gateway').volumes).toEqual(['ledger:/var/lib/seatbelt'])
    expect(service('mail-sink').volumes).toEqual(['mail:/var/lib/seatbelt'])
  })
})

describe('the load balancer', () => {
  const settings = readText('deploy/haproxy.cfg')

  it('knows every replica of both APIs, and nothing else', () => {
    const servers = [...settings.matchAll(/^ +server (\S+) (\S+)/gm)].map(([, name, address]) => [name, address])
    const replicas = [paymentsApi, bookingApi].flatMap(({ instances }) => instances)
    expect(servers).toEqual(replicas.map(({ name, port }) => [name, `${name}:${port}`]))
  })

  it('sends each path of booking-api to booking-api, and no path of payments-api', async () => {
    const rules = [...settings.matchAll(/^ +use_backend booking-api if \{ path -m reg (\S+) \}$/gm)]
    const isBooking = (path: string) => rules.some(([, rule = '']) => new RegExp(rule).test(path))
    const paths = async ({ client }: Pick<ReturnType<typeof testBookingApi>, 'client'>) =>
      Object.keys((await client.get('/openapi.json')).body.paths)
    const [ofBooking, ofPayments] = [await paths(testBookingApi()), await paths(testPaymentsApi())]
    expect([ofBooking.length > 5, ofPayments.length > 5]).toEqual([true, true])
    expect(ofBooking.filter((path) => !isBooking(path))).toEqual([])
    expect(ofPayments.filter(isBooking)).toEqual([])
    expect(['/booking/docs', '/booking/docs/', '/booking/openapi.json'].filter(isBooking)).toHaveLength(3)
    expect(['/docs', '/openapi.json', '/booking/metrics', '/v1/eventsource'].filter(isBooking)).toEqual([])
  })

  it('passes on only what was not sent, and binds no client to a replica', () => {
    expect(/^ +retry-on (.*)$/m.exec(settings)?.[1]).toBe('conn-failure')
    expect(settings).not.toMatch(/^ +(cookie|stick (on|match|store)|hash|balance (source|uri|hdr))/m)
  })

  it('notices that a replica is about to end while that one still listens', () => {
    const checks = [...settings.matchAll(/check inter (\d+)s fastinter (\d+)ms fall (\d+) /g)]
    expect(checks).toHaveLength(2)
    for (const [, seconds, fastMs, fall] of checks) {
      const noticedMs = Number(seconds) * 1_000 + (Number(fall) - 1) * Number(fastMs)
      expect(noticedMs).toBeLessThan(balancerLameDuckMs)
    }
  })

  it('answers by itself as the API does, with problems, and says "nothing was done" only where that is so', () => {
    const own = [...settings.matchAll(/^ +http-error status (\d+) content-type (\S+) .*string '(.*)'$/gm)]
    expect(new Set(own.map(([, , contentType]) => contentType))).toEqual(new Set(['application/problem+json']))
    const problems = new Map(own.map(([, status, , body = '']) => [Number(status), JSON.parse(body)]))
    expect([...problems.keys()].sort()).toEqual([502, 503, 504])
    for (const [status, problem] of problems) {
      expect(problem).toMatchObject({ status, type: `urn:seatbelt:problem:${problem.code}` })
      expect(problem.detail.startsWith('This request changed nothing')).toBe(status === 503)
    }
    const asTheApi = refusalAnswer({ code: 'temporarily-unavailable', retryAfterSeconds: 1 })
    expect(problems.get(503)).toEqual(JSON.parse(String(asTheApi.body)))
  })

  it('is the one proxy whose word the replicas take for where a request comes from', () => {
    expect(settings).toMatch(/^ +option forwardfor$/m)
    for (const { name } of [...paymentsApi.instances, ...bookingApi.instances])
      expect(service(name).environment?.TRUSTED_PROXY_HOPS).toBe('1')
  })
})

describe('the page for mail', () => {
  it('is started for whoever wants it, and shows what the sink kept', () => {
    expect(service('mailpit').profiles).toEqual(['mail'])
    expect(service('mail-sink').environment?.MAIL_SINK_FORWARD_TO).toBe('mailpit:1025')
    expect(Object.values(compose.services).flatMap(({ depends_on: needs = {} }) => Object.keys(needs))).not.toContain(
      'mailpit',
    )
  })
})

describe('the load', () => {
  const k6 = service('k6')

  it('is started by nobody unasked', () => {
    expect(k6.profiles).toEqual(['load'])
  })

  it('goes through the load balancer, with the key that the demo seeds, and asks the right witnesses', () => {
    expect(k6.environment).toMatchObject({
      REPLICAS: 'http://load-balancer:4000',
      BOOKING_REPLICAS: 'http://load-balancer:4000',
      BOOKING_METRICS: bookingApi.instances.map(({ name, port }) => `http://${name}:${port}`).join(','),
      GATEWAY_URL: addresses.get('gateway'),
      AUDITOR_URL: addresses.get('auditor'),
      API_KEY: developmentApiKey,
    })
  })

  it('waits longer than the lease of a replica that was killed', () => {
    const leaseMs = Number(paymentsApiSchema.shape.LEASE_MS.parse(undefined))
    expect(Number(k6.environment?.SETTLE_WITHIN_MS)).toBeGreaterThan(leaseMs + 10_000)
  })
})

describe('the image', () => {
  it('holds each program that a container runs, and not the one that charges twice on purpose', () => {
    const copied = [...readText('Dockerfile').matchAll(/^COPY --from=build (.+) \S+$/gm)].flatMap(([, sources = '']) =>
      sources.split(' '),
    )
    for (const name of programs) {
      const program = `/seatbelt/${service(name).command?.at(-1)}`
      expect(copied.filter((source) => holds(source, program))).toHaveLength(1)
    }
    expect(copied.filter((source) => holds(source, '/seatbelt/apps/lab/dist/control.js'))).toEqual([])
  })
})

/** Is the file what is copied, below it, or one of `*.js`? */
function holds(source: string, file: string): boolean {
  if (file === source || file.startsWith(`${source}/`)) return true
  const [folder = '', ending] = source.split('/*')
  return ending !== undefined && file.endsWith(ending) && file.lastIndexOf('/') === folder.length
}

function readSpecification(): object {
  const folder = join(createRequire(import.meta.url).resolve('dclint/package.json'), '..')
  const { $schema: _, ...schema } = JSON.parse(readFileSync(join(folder, 'schemas/compose.schema.json'), 'utf8'))
  return schema
}

function megabytes(size = ''): number {
  const [, number, unit] = /^(\d+)([mg])$/.exec(size) ?? []
  return Number(number) * (unit === 'g' ? 1_024 : 1)
}
