package profiles

import (
	"reflect"
	"testing"
)

// TestEverythingIsExplained holds items to whatever a layer may hold.
func TestEverythingIsExplained(t *testing.T) {
	t.Parallel()
	layerType := reflect.TypeFor[layer]()
	for i := range layerType.NumField() {
		var l layer
		field := reflect.ValueOf(&l).Elem().Field(i)
		// The fields are not exported: reflect sets them by their address alone.
		if field.Kind() != reflect.Slice {
			continue // everyone, of which contacts are made first
		}
		slot := reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem()
		slot.Set(reflect.MakeSlice(field.Type(), 1, 1))
		if n := len(l.items()); n != 1 {
			t.Errorf("one of %s is %d items of an explanation", layerType.Field(i).Name, n)
		}
	}
}
