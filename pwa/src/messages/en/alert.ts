/** What the system's notifications say, on whatever page. */
export const alert = {
  guest: (service: string) => `A guest has opened ${service}.`,
  opened: (service: string, source: string) => `${service} was opened for ${source}.`,
  endsSoon: (service: string) => `${service} closes in 5 minutes.`,
  refused: (device: string) => `A knock of ${device} was refused.`,
  signIn: (address: string) => `You were signed in from ${address}.`,
  siteUp: (site: string) => `${site} can be reached again.`,
  siteDown: (site: string) => `${site} can't be reached.`,
}
