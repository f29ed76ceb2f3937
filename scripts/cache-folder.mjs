import { homedir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'

/**
 * Where programs go that were downloaded or built for this user (k6, redis-server): they cost minutes and belong to no checkout.
 * An absolute XDG_CACHE_HOME wins, as its specification says.
 */
export function cacheFolder(environment = process.env, platform = process.platform) {
  const given = environment.XDG_CACHE_HOME
  if (given?.startsWith('/')) return join(given, 'seatbelt')
  const home = environment.HOME?.startsWith('/') ? environment.HOME : homedir()
  return platform === 'darwin' ? join(home, 'Library/Caches/seatbelt') : join(home, '.cache/seatbelt')
}
