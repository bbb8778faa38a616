/** The chat's page. */

import { mount } from 'svelte';

import '../styles/base.css';
import ChatApp from './ChatApp.svelte';
import { Session } from './session.svelte.ts';

const session = new Session();
mount(ChatApp, { target: document.getElementById('app') ?? document.body, props: { session } });
void session.open();
