/** The start page. */

import { mount } from 'svelte';

import '../styles/base.css';
import Start from './Start.svelte';

mount(Start, { target: document.getElementById('app') ?? document.body });
