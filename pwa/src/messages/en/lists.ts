/** The words of invitations, devices and the history. */
export { device } from './device'
export { history } from './history'
export { invitation } from './invitation'
