package process

import (
	"reflect"
	"testing"
)

// Figures of many at once are few, and those of devices come on request alone.
func TestDetailOfFigures(t *testing.T) {
	var u Usage
	v := reflect.ValueOf(&u).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Pointer:
			f.Set(reflect.New(f.Type().Elem()))
		case reflect.Slice:
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		default:
			f.SetUint(uint64(SourceProc))
		}
	}
	told := func(d Detail) (names []string) {
		v := reflect.ValueOf(u.In(d))
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				names = append(names, v.Type().Field(i).Name)
			}
		}
		return names
	}
	all := v.NumField()
	if n := len(told(WithDevices)); n != all {
		t.Errorf("%d of %d figures with devices", n, all)
	}
	if n := len(told(Full)); n != all-1 || u.In(Full).IODevices != nil {
		t.Errorf("%d of %d figures in full", n, all)
	}
	// What lists have had always, and no more.
	want := []string{"CPU", "CPUUser", "CPUSystem", "CPUSource", "Memory", "MemoryMB", "MemorySource", "MemoryPeak", "MemoryPeakSource",
		"IORead", "IOWrite", "IOSource", "Pids", "PidsSource"}
	if got := told(Brief); !reflect.DeepEqual(got, want) {
		t.Errorf("in brief %v, want %v", got, want)
	}
}
