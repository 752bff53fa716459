export const pass = {
  title: 'Back to the service',
  goOn: 'Continue',
  refusedTitle: 'You may not use this service',
  refused: (name: string) =>
    `You are signed in as ${name}, who has no access to this service. Ask an admin for it.`,
  another: 'Sign in as somebody else',
  stale: 'This link is of no use here. Open the page of the service again.',
}
