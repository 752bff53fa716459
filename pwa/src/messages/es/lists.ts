export { device } from './device'
export { history } from './history'
export { invitation } from './invitation'
