import './page.css'
import { startPage } from './page'

void startPage(document.getElementById('page') as HTMLElement)
