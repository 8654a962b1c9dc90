/*
 * One name: subscribers create its log, join, leave and close it, while senders send. See README.md.
 *
 * A step here is what is atomic in the code: one load or store of a word that is read without a
 * lock, or all that happens under one gate. Server.mu is a lock of its own (mu) and its holder takes
 * several steps, because senders look while it works.
 *
 *	-DDECLARED  the name is declared, and sent to by its handle (Channel.Send)
 *	otherwise   it is not, and sent to by name (SendEvent); a pattern matches it
 *
 * One of these breaks it: -DORIG -DREAP -DNORETRY -DNILQUITS -DLATETAKE
 */
#define SUBS	3
#define ROUNDS	2	/* each subscriber comes and goes so often */
#define SENDERS	2
#define SENDS	2	/* each */
#ifdef DECLARED
#define REAPS	0	/* a declared name is never forgotten */
#else
#define REAPS	1	/* a name that only patterns listen to is forgotten so often */
#endif

#define TAP	SUBS	/* the subscription by pattern comes after those by name */
#define LOGS	10	/* enough: checked where one opens */
#define bit(i)	(1 << (i))

/* The registry. Topics are numbered from 1; so are logs. Without a declaration a topic has one log in
 * its life, of the same number. */
bit mu;
byte names;		/* the topic of the name, 0 if there is none */
byte live[LOGS];	/* a topic's log, 0 if it has none */
bit patterns;		/* there is a pattern, and it matches */

/* Logs. */
byte logs;		/* opened so far */
byte alive;		/* open now */
bit closed[LOGS];
byte readers[LOGS];	/* the set of cursors */
bit forwards[LOGS];	/* to the pattern's ring */

/* Subscriptions. Only the reader of the first one runs at the same time; what the others have not
 * read by the time they leave they could have read before. */
byte has[SUBS+1];	/* events that have arrived */
bit on[SUBS+1];		/* subscribe has returned and leave not been called */
byte due[SUBS+1];	/* events whose send has begun since then */

/* The first subscriber's mailbox. It has a new cursor in each round. */
byte cur;		/* the one to read from, 0 if there is none */
byte newest;
bit unread[ROUNDS+1];	/* there is something to read */
bit gone[ROUNDS+1];	/* the cursor is closed… */
bit left[ROUNDS+1];	/* …and leave has returned */

/* Processes of a kind are alike: let them be numbered in the order in which they begin. */
byte subs, senders;

inline lock()   { atomic { !mu -> mu = 1 } }
inline unlock() { mu = 0 }

/* openLocked: topic t gets a log */
inline open(t) {
	d_step {
		logs++;
		assert(logs < LOGS);
		alive++;
		assert(alive == 1);		/* at most one live log */
		forwards[logs] = patterns
	}
	live[t] = logs
}

/* closeLogLocked */
inline close(l) {
	live[names] = 0;
	d_step { closed[l] = 1; forwards[l] = 0; alive-- }
#ifndef DECLARED
	names = 0
#endif
}

/* topicLocked, if the name has none */
inline topic(t) {
	t = names;
	if
	:: t == 0 -> t = logs + 1; names = t
	:: else
	fi
}

proctype Sub(byte i)
{
	byte round, t, l;
	bit last;

	do
	:: round < ROUNDS ->
		round++;
		atomic { !mu && subs >= i -> mu = 1; if :: subs == i -> subs++ :: else fi }
#ifdef ORIG
		t = names;
		l = live[t];
		unlock();
		lock();
#endif
		topic(t);
		if
		:: live[t] == 0 -> open(t); l = live[t]
		:: else
#ifndef ORIG
			-> l = live[t]
#else
			-> if :: l == 0 -> l = live[t] :: else fi
#endif
		fi;
#ifdef ORIG
		unlock();
		lock();
#endif
		d_step {				/* join */
			assert(!closed[l]);		/* never join a dead log */
			readers[l] = readers[l] | bit(i);
			if :: i == 0 -> cur = round; newest = round :: else fi
		}
		d_step { unlock(); on[i] = 1 }

		d_step { on[i] = 0; due[i] = 0 }	/* leave is called */
		lock();
		if :: i == 0 -> cur = 0 :: else fi;
		d_step {				/* cursor.leave */
			readers[l] = readers[l] & ~bit(i);
			has[i] = 0;
			if :: i == 0 -> gone[round] = 1 :: else fi;
			last = readers[l] == 0 && !forwards[l];
			t = 0
		}
#ifdef REAP
		unlock();
		lock();
#endif
		if
		:: last -> close(l)
		:: else
		fi;
		d_step {
			unlock();
			if :: i == 0 -> left[round] = 1 :: else fi;
			l = 0; last = 0
		}
	:: else -> break
	od
}

/* Receive on the mailbox of the first subscriber: find the cursor, then take what it has under its gate. */
proctype Reader()
{
	byte c;

	do
	:: cur != 0 ->
		c = cur;
		d_step {
			if
#ifdef LATETAKE
			:: unread[c] ->
#else
			:: unread[c] && !gone[c] ->
#endif
				unread[c] = 0;
				assert(!left[c])	/* P4: nothing is received after leave has returned */
			:: else
			fi;
			c = 0
		}
	:: left[ROUNDS] -> break
	od
}

/* subscribePattern and its end */
proctype Tap()
{
	byte l;

	lock();
	patterns = 1;
	if
	:: names != 0 ->
		if :: live[names] == 0 -> open(names) :: else fi;
		forwards[live[names]] = 1
	:: else
	fi;
	d_step { unlock(); on[TAP] = 1 }

	d_step { on[TAP] = 0; due[TAP] = 0 }
	lock();
	if
	:: names != 0 ->
		l = live[names];
		forwards[l] = 0;
		if :: readers[l] == 0 -> close(l) :: else fi
	:: else
	fi;
	patterns = 0;
	d_step { has[TAP] = 0; unlock() }
}

/* The part of discover that forgets names which only patterns listen to. */
proctype Reaper()
{
	byte n, l;

	do
	:: n < REAPS ->
		n++;
		lock();
		l = live[names];
		if
		:: l != 0 && readers[l] == 0 -> close(l)
		:: else
		fi;
		d_step { unlock(); l = 0 }
	:: else -> break
	od
}

/* What a send does to a log, under its gate: ok says that the log took the event. */
inline append(l, e) {
	d_step {
		ok = !closed[l];
		if
		:: ok ->
			s = 0;
			do
			:: s < SUBS ->
				if
				:: readers[l] & bit(s) ->
					assert(!(has[s] & e));	/* P1: not more than once */
					has[s] = has[s] | e;
					if :: s == 0 -> unread[newest] = 1 :: else fi
				:: else
				fi;
				s++
			:: else -> break
			od;
			if
			:: forwards[l] -> assert(!(has[TAP] & e)); has[TAP] = has[TAP] | e
			:: else
			fi
		:: else
		fi;
		s = 0
	}
}

proctype Sender(byte i)
{
	byte n, e, t, l, s;
	bit ok;

	do
	:: n < SENDS ->
		d_step {			/* the send begins */
			senders >= i ->
			if :: senders == i -> senders++ :: else fi;
			e = bit(i*SENDS + n);
			n++;
			s = 0;
			do
			:: s <= TAP -> if :: on[s] -> due[s] = due[s] | e :: else fi; s++
			:: else -> break
			od;
			s = 0
		}
#ifdef DECLARED
		l = live[1];
		if
		:: l != 0 -> append(l, e)
		:: else
		fi;
#else
		t = names;
look:		if
		:: t != 0 -> l = live[t]
		:: else -> l = 0
		fi;
		if
		:: l != 0 ->
			append(l, e);
#ifdef NORETRY
			goto sent;
#endif
			if
			:: ok -> goto sent
			:: else
			fi
		:: else
#ifdef NILQUITS
			-> if :: t != 0 -> goto sent :: else fi
#endif
		fi;
		/* Nobody listens, or the log is being opened, or has been closed: that takes a pattern to matter. */
		d_step { l = 0; ok = 0; t = 0 }
		if
		:: !patterns -> goto sent
		:: else
		fi;
		lock();				/* discover */
		if
		:: !patterns -> unlock(); goto sent
		:: else
		fi;
		if
		:: names == 0 -> topic(t); open(t)
		:: else -> t = names
		fi;
		unlock();
		goto look;
sent:
#endif
		atomic {			/* the send ends */
			s = 0;
			do
			:: s <= TAP ->
				assert(!(on[s] && (due[s] & e)) || (has[s] & e));	/* P1: not less than once */
				due[s] = due[s] & ~e;
				s++
			:: else -> break
			od;
			s = 0; e = 0; t = 0; l = 0; ok = 0
		}
	:: else -> break
	od
}

init
{
	byte i;

	atomic {
#ifdef DECLARED
		names = 1;
#endif
		i = 0; do :: i < SUBS -> run Sub(i); i++ :: else -> break od;
		i = 0; do :: i < SENDERS -> run Sender(i); i++ :: else -> break od;
		run Reader();
		run Tap();
		run Reaper();
		i = 0
	}
	_nr_pr == 1;
	assert(alive == 0 && !mu);		/* everybody has left: no live log */
	assert(live[names] == 0)
}
