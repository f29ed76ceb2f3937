import type { Orphan } from '@seatbelt/database'
import { describe, expect, it } from 'vitest'
import { describeOrphans, describeResolved, readOrphanCommand } from '../src/review/orphans.ts'

const id = '0192f000-0000-7000-8000-000000000001'
const named = ['--as', 'ada', '--reason', 'looked at the gateway']

const orphan: Orphan = {
  ...{ id, kind: 'payment', accountId: 'account', orderId: null, orderReference: 'order-name', gatewayKey: 'name' },
  ...{ gatewayIntentId: 'pi_1', gatewayRefundId: null, amountMinor: 4_200, currency: 'EUR', keyKnownUntil: null },
  ...{ seen: 'succeeded', why: 'its order is not there', foundBy: 'api-1', foundAt: new Date(0) },
  ...{ refundClaimedAt: null, resolvedAt: null, resolution: null, resolvedBy: null, resolutionReason: null },
}

describe('review orphans', () => {
  it('lists all without arguments, or those of one order', () => {
    expect(readOrphanCommand([])).toEqual({ kind: 'list-orphans', orderId: null })
    expect(readOrphanCommand(['--order', id])).toEqual({ kind: 'list-orphans', orderId: id })
  })

  it.each(['adopt', 'refund', 'dismiss'])('resolves by --%s, with a name and a reason', (resolution) => {
    const operator = { name: 'ada', reason: 'looked at the gateway' }
    const command = readOrphanCommand([id, `--${resolution}`, ...named])
    expect(command).toEqual({ kind: 'resolve-orphan', decision: { id, resolution, operator, gatewayId: null } })
    expect(readOrphanCommand([id, `--${resolution}`, ...named, '--gateway-id', 'pi_1'])).toMatchObject({
      decision: { gatewayId: 'pi_1' },
    })
  })

  it.each([
    ['no resolution', [id, ...named]],
    ['two resolutions', [id, '--adopt', '--refund', ...named]],
    ['no name', [id, '--adopt', '--reason', 'x']],
    ['no reason', [id, '--adopt', '--as', 'ada']],
    ['no id', ['--adopt', ...named]],
    ['something that is no id', ['orphan', '--adopt', ...named]],
    ['an unknown flag', [id, '--forget', ...named]],
    ['an order that is no id', ['--order', 'mine']],
    ['an order beside an orphan', [id, '--adopt', '--order', id, ...named]],
  ])('refuses %s', (_, args) => {
    expect(() => readOrphanCommand(args)).toThrow()
  })

  it('shows what a person needs to find it at the gateway', () => {
    const text = describeOrphans([orphan], 1)
    for (const part of ['1 orphan waits', id, 'pi_1', 'order-name', 'succeeded', '--adopt | --refund | --dismiss'])
      expect(text).toContain(part)
    expect(describeOrphans([], 0)).toBe('There is no orphan.\n')
  })

  it('says that there are more than it lists, and which refund a command has begun', () => {
    expect(describeOrphans([orphan], 101)).toContain('101 orphans wait for a person, of which the oldest 1 are:')
    expect(describeOrphans([{ ...orphan, refundClaimedAt: new Date(0) }], 1)).toContain('repeat --refund')
  })

  it('exits by what came of it', () => {
    expect(describeResolved(id, { kind: 'resolved', detail: 'dismissed' }).exitCode).toBe(0)
    expect(describeResolved(id, { kind: 'left', why: 'its intent is processing' }).exitCode).toBe(1)
    expect(describeResolved(id, { kind: 'not-found' }).exitCode).toBe(2)
  })
})
