/*
 * One mailbox with two readers: how they fall asleep, and who wakes them. See README.md.
 *
 * A step is what is atomic in the code: one load or store of a word that is read without a lock, or
 * all that happens under one gate, or under the ring's mutex. A sender needs only the log's gate, so
 * that one is part of the steps; the cursor's gate is a lock, and Server.mu is another.
 *
 *	-DCANCEL  the context of one reader may end
 *	-DLOOP    one reader is a loop over Messages, which takes batches and may be left
 *	-DPOLL    one reader selects on Ready and calls TryReceive
 *	-DSECOND  the mailbox gets a second subscription, and so reads from its ring
 *	-DLIVE    check that all ends well, given that no goroutine is held up for ever
 *
 * One of these breaks it: -DNOPASS -DARMLATE -DNOPOLL -DNORESTORE -DBACKLATE
 */
#ifndef EVENTS
#define EVENTS	3
#endif
#ifndef SENDERS
#define SENDERS	2	/* together they send so many */
#endif
#define BATCH	2	/* events that a loop takes at a time */
#define bit(e)	(1 << (e))
#define ALL	(bit(EVENTS) - 1)

/* The log, and the mailbox's cursor in it. */
bit gate;		/* the cursor's */
byte head;		/* position of the next event */
byte pos;		/* of the next event to read */
bit armed;
bit closed;		/* the cursor has left the log… */
bit forward;		/* …which copies into the ring instead */
byte cleared;		/* the set of events whose slots have been cleared */

/* The mailbox. */
bit mu;
bit cur = 1;		/* it knows the cursor */
byte ring;		/* the set of events there */
bit token;		/* in notify */
byte waiters;
bit ended;
bit over;		/* Close has returned… */
bit early;		/* …and was called at any time, otherwise when everything had been received */

bit polled;		/* somebody has used Ready */
byte got;		/* the set of events received */
bit cancelled;		/* the context of the reader that is not steady */

inline signal() { token = 1 }

inline receive(e) {
	assert(!(got & bit(e)));		/* nothing twice… */
	assert(!over);				/* …nor after Close has returned */
	got = got | bit(e)
}

/* log.restLocked: when everything has been read the slots are cleared. */
inline rest() { cleared = bit(pos) - 1 }

/* cursor.arm: none says that there is nothing to read, and that the next event will signal. */
inline arm() {
#ifdef ARMLATE
	atomic { !gate -> gate = 1; none = (pos == head && !closed) }
	d_step { if :: none -> armed = 1; rest() :: else fi; gate = 0 }
#else
	atomic {
		!gate -> none = (pos == head && !closed);
		if :: none -> armed = 1; rest() :: else fi
	}
#endif
}

/* box.idle */
inline idle() {
	none = !ended;
	if :: none && cur -> arm() :: else fi;
	none = none && ring == 0
}

inline passOn() {
#ifndef NOPASS
	if
#ifdef NOPOLL
	:: waiters > 0 ->
#else
	:: waiters > 0 || polled ->
#endif
		idle();
		if :: !none -> signal() :: else fi;
		none = 0
	:: else
	fi
#else
	skip
#endif
}

/* take: a loop gets a batch into its hand, others have received their event. */
inline take() {
	if
	:: cur -> atomic {
		!gate ->
		do
		:: pos < head && !closed && n < (loop -> BATCH : 1) ->
			assert(!(cleared & bit(pos)));	/* what was sent, not a cleared slot */
			if :: loop -> hand = hand | bit(pos); last = pos + 1 :: else -> receive(pos) fi;
			pos++;
			n++
		:: else -> break
		od
	   }
	:: else
	fi
}

/* ring.pop. The ring is a set here: the least event comes first. */
inline pop() {
	atomic {
		if
		:: ring != 0 ->
			e = 0;
			do :: ring & bit(e) -> break :: else -> e++ od;
			ring = ring & ~bit(e);
			if
#ifndef BACKLATE
			:: ended			/* discarded */
#endif
			:: else ->
				n = 1;
				if :: loop -> hand = bit(e) :: else -> receive(e) fi
			fi;
			e = 0
		:: else
		fi
	}
}

inline next() {
	pop();
	if :: n == 0 -> take() :: else fi;
	if :: n == 0 && loop -> pop() :: else fi
}

/* hand.step */
inline visit() {
	d_step {
		e = 0;
		do :: hand & bit(e) -> break :: else -> e++ od;
		receive(e);
		hand = hand & ~bit(e);
		n--;
		e = 0
	}
}

/* hand.drop: the n events before position last go back, to the cursor they came from if it has not moved,
 * and otherwise to the ring. */
inline drop() {
	atomic {
		!gate ->
		back = !closed && last != 0 && pos == last;
		if
		:: back ->
			pos = pos - n;
			armed = 0;
#ifndef NORESTORE
			if :: cleared > bit(pos) - 1 -> cleared = bit(pos) - 1 :: else fi
#endif
		:: else
		fi
	}
	if
	:: back -> signal()
#ifdef BACKLATE
	:: !back && !ended -> ring = ring | hand; signal()
	:: !back && ended
#else
	:: !back -> atomic { back = !ended; if :: back -> ring = ring | hand :: else fi }
		if :: back -> signal() :: else fi
#endif
	fi;
	d_step { hand = 0; n = 0; back = 0; last = 0 }
}

/* What the reader that is not steady does with an event: it may be busy for as long as there are
 * others to receive, and it may break out of its loop or not call Receive again. */
inline handle() {
	if
	:: !steady ->
		if
		:: true -> (got | hand) == ALL || ended
		:: goto leave
		:: true
		fi
	:: else
	fi
}

/* Receive called again and again, or a loop over Messages. The steady reader goes on until the mailbox
 * ends; the other may also be cancelled. */
proctype Reader(bit steady)
{
	byte n, hand, last, e;
	bit loop, none, back;

#ifdef LOOP
	loop = !steady;
#endif
again:	do
	:: !steady && cancelled -> passOn(); goto out
	:: else ->
		next();
		if
		:: n > 0 ->
			passOn();
			if :: hand == 0 -> n = 0; handle() :: else fi;
			do
			:: atomic { hand != 0 && !ended && (steady || !cancelled) -> visit() }
				handle()
			:: hand == 0 -> last = 0; break
			:: hand != 0 && (ended || !steady && cancelled) -> drop(); break
			od
		:: n == 0 && ended -> signal(); goto out
		:: else ->			/* park */
			waiters++;
			idle();
			if
			:: none ->
				if
				:: atomic { token -> token = 0 }
				:: !steady && cancelled
				fi
			:: else
			fi;
			none = 0;
			waiters--
		fi
	od;
leave:	if :: hand != 0 -> drop() :: else -> n = 0; last = 0 fi;
	if :: goto again :: true fi;
out:	skip
}

/* This one is steady. */
proctype Poller()
{
	byte n, hand, last, e;
	bit loop, none;

	do
	:: ended -> break
	:: else ->
		polled = 1;			/* Ready */
		idle();
		if :: !none -> signal() :: else fi;
		none = 0;
		atomic { token -> token = 0 }
		do				/* TryReceive, until there is nothing */
		:: true ->
			next();
			if
			:: n == 0 ->
				idle();
				if :: !none -> next() :: else fi;
				none = 0
			:: else
			fi;
			if
			:: n == 0 && ended -> signal()
			:: n == 0 && !ended
			:: n > 0 -> passOn()
			fi;
			if :: n == 0 -> break :: else -> n = 0 fi
		od
	od
}

proctype Sender()
{
	bit wake;

	do
	:: atomic {				/* sendSlow, under the log's gate */
		head < EVENTS ->
		wake = armed;
		armed = 0;
		if
		:: forward && !ended -> wake = (ring == 0); ring = ring | bit(head)
		:: else
		fi;
		head++
	   }
		if :: wake -> d_step { signal(); wake = 0 } :: else fi
	:: head == EVENTS -> break
	od
}

/* A second subscription: the mailbox reads from its ring from now on (toRingLocked). */
proctype Second()
{
	byte p;

	atomic { !mu -> mu = 1; if :: ended -> mu = 0; goto out :: else fi }
	atomic {			/* cursor.leave */
		!gate ->
		closed = 1;
		armed = 0;
		forward = 1;
		p = pos;
		do
		:: p < head -> assert(!(cleared & bit(p))); ring = ring | bit(p); p++
		:: else -> break
		od;
		p = 0
	}
	cur = 0;
	d_step { signal(); mu = 0 }
out:	skip
}

proctype Close()
{
	atomic { (early || got == ALL) && !mu -> mu = 1; ended = 1 }
	ring = 0;
	cur = 0;
	atomic { !gate -> closed = 1; armed = 0 }
	d_step { forward = 0; ring = 0 }
	d_step { signal(); mu = 0; over = 1 }
}

proctype Cancel() { cancelled = 1 }

init
{
	byte i;

	atomic {
		run Reader(0);
#ifdef POLL
		run Poller();
#else
		run Reader(1);
#endif
		do :: i < SENDERS -> run Sender(); i++ :: else -> break od;
#ifdef SECOND
		run Second();
#endif
#ifdef CANCEL
		run Cancel();
#endif
		if :: early = 1 :: true fi;
		run Close()
	}
}

#ifdef LIVE
ltl live { <> (over && _nr_pr == 1) }	/* every event is received, and both readers end */
#endif
