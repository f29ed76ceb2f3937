export function cacheFolder(environment?: NodeJS.ProcessEnv, platform?: NodeJS.Platform): string
