export * from './create-app.ts'
export * from './schemas.ts'
