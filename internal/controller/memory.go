package controller

import (
	"cmp"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// Memory is what a process knows of each object of a kind and does not store.
// What it returns belongs to the one reconcile of the object that runs; it is
// lost with the process. The zero value is ready.
type Memory[M any] struct {
	mu    sync.Mutex
	items map[types.NamespacedName]*remembered[M]
}

type remembered[M any] struct {
	uid  types.UID
	item M
}

// Of returns the memory of an object, empty if it is new. An object with
// another UID is another object: before is called with the memory of the former
// one, if there is any. The empty UID stands for any: it is not known yet.
func (m *Memory[M]) Of(key types.NamespacedName, uid types.UID, before func(*M)) *M {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := m.items[key]
	if found != nil && (found.uid == uid || uid == "" || found.uid == "") {
		found.uid = cmp.Or(uid, found.uid)
		return &found.item
	}
	if found != nil && before != nil {
		before(&found.item)
	}
	if m.items == nil {
		m.items = map[types.NamespacedName]*remembered[M]{}
	}
	found = &remembered[M]{uid: uid}
	m.items[key] = found
	return &found.item
}

// Find returns the memory of an object, nil if there is none. The empty UID
// stands for any.
func (m *Memory[M]) Find(key types.NamespacedName, uid types.UID) *M {
	m.mu.Lock()
	defer m.mu.Unlock()
	if found := m.items[key]; found != nil && (found.uid == uid || uid == "") {
		return &found.item
	}
	return nil
}

// Drop forgets an object and returns its memory, nil if there is none.
func (m *Memory[M]) Drop(key types.NamespacedName) *M {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := m.items[key]
	if found == nil {
		return nil
	}
	delete(m.items, key)
	return &found.item
}

// Len is the number of objects that are remembered.
func (m *Memory[M]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.items)
}
