import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { postgresPort, redisPort, type Service, services } from '../../src/stack/description.ts'
import { fillIn, stagesOf } from '../../src/stack/start-stack.ts'

const root = resolve(import.meta.dirname, '../../../..')

describe('the description of the stack', () => {
  it('names nothing and no port twice', () => {
    const instances = services.flatMap((service) => service.instances)
    expect(new Set(instances.map(({ name }) => name)).size).toBe(instances.length)
    const further = instances.flatMap(({ furtherPorts = {} }) => Object.values(furtherPorts))
    const ports = [...instances.map(({ port }) => port), ...further, postgresPort, redisPort]
    expect(new Set(ports).size).toBe(ports.length)
  })

  it('names programs that are built', () => {
    // apps/lab/dist/auditor.js is made of apps/lab/src/auditor/main.ts, apps/gateway/dist/main.js of apps/gateway/src/main.ts.
    const sources = services.map(({ program }) =>
      program.replace('/dist/main.js', '/src/main.ts').replace(/\/dist\/(.+)\.js$/, '/src/$1/main.ts'),
    )
    expect(sources.filter((source) => !existsSync(resolve(root, source)))).toEqual([])
  })

  it('asks only for addresses that the stack has', () => {
    const instances = services.flatMap((service) => service.instances)
    const further = instances.flatMap(({ name, furtherPorts = {} }) =>
      Object.keys(furtherPorts).map((variable) => `${name}:${variable}`),
    )
    const known = ['database', 'redis', 'state', 'gateway-deliveries', ...instances.map(({ name }) => name), ...further]
    const addresses = new Map(known.map((name) => [name, `address of ${name}`]))
    for (const { environment } of services) {
      for (const value of Object.values(environment)) expect(fillIn(value, addresses)).not.toContain('{')
    }
  })
})

describe('the order of the starts', () => {
  it('puts each service after what it needs', () => {
    const stages = stagesOf([service('api', ['gateway', 'mail']), service('mail', ['gateway']), service('gateway', [])])
    expect(stages.map((stage) => stage.map(({ name }) => name))).toEqual([['gateway'], ['mail'], ['api']])
  })

  it('is refused where services wait for each other', () => {
    expect(() => stagesOf([service('a', ['b']), service('b', ['a'])])).toThrow('wait for each other')
  })
})

it('an address that nobody has is an error, not an empty text', () => {
  expect(() => fillIn('{nobody}', new Map([['gateway', 'http://127.0.0.1:4010']]))).toThrow('nothing is called nobody')
})

function service(name: string, startsAfter: readonly string[]): Service {
  return { name, program: '', instances: [], environment: {}, startsAfter, readinessPath: '/readyz', heapMb: 256 }
}
